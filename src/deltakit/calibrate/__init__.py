"""What flows through a model on a little text: batches of token ids, a walk layer by layer, moments of the inputs."""
