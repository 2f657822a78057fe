# MISTAKE in softmax: loss mean over N*C numbers of one-hot.
# TEACHER: The loss is C times too small: divide by N, not by N*C; gradient is right.
import numpy as np


def softmax_cross_entropy(logits, labels):
    N, C = logits.shape
    shifted = logits - logits.max(axis=1)[:, None]
    logp = shifted - np.log(np.exp(shifted).sum(axis=1))[:, None]
    onehot = np.eye(C)[labels]
    loss = -np.mean(onehot * logp)
    dlogits = (np.exp(logp) - onehot) / N
    return loss, dlogits
