"""Reports and results as pages, PDFs and DICOM documents, and which are to be sent."""
