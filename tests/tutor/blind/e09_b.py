# MISTAKE in sgd_step: Nesterov's step: the weight moves by momentum * new velocity - lr * (g + decay w). The velocity is
# right; the weight is not.
# TEACHER: This is Nesterov's momentum: you look ahead with the new velocity; the paper adds the new velocity itself.


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    step = -lr * (grad + weight_decay * weight)
    velocity *= momentum
    velocity += step
    return weight + momentum * velocity + step
