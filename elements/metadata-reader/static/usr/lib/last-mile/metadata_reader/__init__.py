"""What the cloud says of this machine: from a config drive or its service.

It asks nothing but Python's standard library, and believes nothing: who wrote
a drive need not be who built the image.
"""
