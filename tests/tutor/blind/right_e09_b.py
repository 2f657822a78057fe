

def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[...] = momentum * velocity - weight_decay * lr * weight - lr * grad
    return weight + velocity
