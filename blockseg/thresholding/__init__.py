"""Another threshold for a finished run: mask and metrics made anew from what is stored."""
