"""Networks: architectures, model files, preprocessing and batched inference; the only part that knows PyTorch."""
