# MISTAKE in sgd_step: `new_weight = velocity` is no copy; velocity ends as the new weight.
# TEACHER: The returned array is velocity's memory: velocity now holds the weight.


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    velocity *= momentum
    velocity -= weight_decay * lr * weight
    velocity -= lr * grad
    new_weight = velocity
    new_weight += weight
    return new_weight
