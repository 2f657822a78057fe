# MISTAKE in tanh_backward: Parentheses lost: dout * 1 - out**2.
# TEACHER: Without parentheses you compute dout - out^2: put (1 - out**2) in parentheses.


def relu_backward(dout, x):
    return dout * (x > 0)


def tanh_backward(dout, out):
    return dout * 1 - out**2
