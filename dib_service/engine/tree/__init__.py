"""The tree that an image is made of: read, weighed and tidied."""
