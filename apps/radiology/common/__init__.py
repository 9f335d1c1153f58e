"""What all rooms share: who is asked for, headers, files on disk, decoding apart."""
