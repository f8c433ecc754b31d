"""What happens to every tensor, and in how many bytes."""
