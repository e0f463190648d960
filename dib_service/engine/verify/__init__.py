"""What is looked for in finished files before anybody has them."""
