"""Advantages, losses and KL estimators: pure functions on numbers and tensors."""
