"""The one way in, and what comes again: corrections, rejections, other patients."""
