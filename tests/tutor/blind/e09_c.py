# MISTAKE in sgd_step: lr taken out of the velocity (PyTorch form).
# TEACHER: Velocity should contain lr; yours is multiplied by lr only at the end; the stored velocity is 1/lr too large.


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    velocity *= momentum
    velocity -= weight_decay * weight + grad
    return weight + lr * velocity
