"""The sparse study: a grid of data, sparsity, network and seed, each run in a folder and a process of its own."""
