# MISTAKE in chain_backward: dw2 from A, not from B = relu(A).
# TEACHER: w2 is multiplied with B, not A, in the forward pass.


def linear_backward(dout, x, weight):
    shape = x.shape
    x = x.reshape(shape[0], weight.shape[1])
    return (dout @ weight).reshape(shape), dout.T @ x, dout.sum(0)


def chain_backward(dout, x, w1, w2, w3):
    A = x @ w1.T
    dA = (dout @ w2) * (A > 0)
    dw1 = dA.T @ x
    dw2 = dout.T @ A
    dw3 = dout.T @ x
    dx = dA @ w1 + dout @ w3
    return dx, dw1, dw2, dw3
