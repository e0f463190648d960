"""The disks that an image has, from what is asked to what is made."""
