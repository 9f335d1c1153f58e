"""What all rooms share: places on disk, what is asked for, measures as tables."""
