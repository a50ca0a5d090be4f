"""Pages that people look at before they trust a map."""
