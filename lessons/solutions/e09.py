"""E09, as a good student would write it: one step of gradient descent."""


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    # v <- momentum v - weight_decay lr w - lr g;  w <- w + v.
    velocity *= momentum  # in place: what is left of the old velocity
    velocity -= weight_decay * lr * weight  # the decay, with the weight before the step
    velocity -= lr * grad  # downhill
    return weight + velocity  # a new array: weight itself stays as it is
