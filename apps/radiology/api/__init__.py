"""The doors for programs: DICOMweb and JSON."""
