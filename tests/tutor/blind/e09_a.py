# MISTAKE in sgd_step: Decoupled weight decay, as in AdamW: the decay goes to the weight directly and not into the
# velocity. The new weight of this one step is right; the velocity is not.
# TEACHER: The decay belongs into the velocity, so that momentum carries it on; you subtract it from the weight alone.


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[...] = momentum * velocity - lr * grad
    return weight - weight_decay * lr * weight + velocity
