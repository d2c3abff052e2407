"""Properties that hold for anything that can be put in, on inputs that hypothesis makes up."""
