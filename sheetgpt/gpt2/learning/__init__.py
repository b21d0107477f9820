"""The loss, its gradients, Adam: a GPT-2 that learns."""
