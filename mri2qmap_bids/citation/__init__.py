"""What a reconstruction did, in words and with the papers behind it."""
