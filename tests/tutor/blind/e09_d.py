# MISTAKE in sgd_step: weight decay is applied to the weight and not put into v.
# TEACHER: Decay is missing in velocity; it goes into v and so is carried on by momentum.


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[:] = momentum * velocity - lr * grad
    return weight + velocity - weight_decay * lr * weight
