"""E03 in other styles: einsum, loops over images and units, outer products, block matrices, one layer called three times."""

import numpy as np

from lessons.solutions import e03 as solution


def einsum(dout, x, weight):
    flat = x.reshape(len(x), -1)
    dx = np.einsum("nk,kc->nc", dout, weight).reshape(x.shape)
    return dx, np.einsum("nk,nc->kc", dout, flat), np.einsum("nk->k", dout)


def loops(dout, x, weight):
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(len(weight))
    for n in range(len(x)):
        row, into = x[n].ravel(), np.zeros(weight.shape[1])
        for k in range(len(weight)):
            into += dout[n, k] * weight[k]
            dweight[k] += dout[n, k] * row
            dbias[k] += dout[n, k]
        dx[n] = into.reshape(x.shape[1:])
    return dx, dweight, dbias


def outer_products(dout, x, weight):
    flat = np.array([image.flatten() for image in x])
    dweight = sum(np.outer(d, row) for d, row in zip(dout, flat, strict=True))
    return (weight.T @ dout.T).T.reshape(x.shape), dweight, np.ones(len(x)) @ dout


def with_a_row_of_ones(dout, x, weight):
    """The bias as the weight of one more input, which is always 1."""
    flat = np.hstack([x.reshape(len(x), -1), np.ones((len(x), 1))])
    both = np.tensordot(dout, flat, axes=(0, 0))
    return np.tensordot(dout, weight, axes=1).reshape(x.shape), both[:, :-1].copy(), both[:, -1].copy()


def chain_einsum(dout, x, w1, w2, w3):
    a = np.einsum("nc,mc->nm", x, w1)
    slope = (a > 0).astype(float)
    dx = np.einsum("nk,km,nm,mc->nc", dout, w2, slope, w1) + np.einsum("nk,kc->nc", dout, w3)
    dw1 = np.einsum("nk,km,nm,nc->mc", dout, w2, slope, x)
    return dx, dw1, np.einsum("nk,nm->km", dout, a * slope), np.einsum("nk,nc->kc", dout, x)


def chain_loops(dout, x, w1, w2, w3):
    dx, dw1, dw2, dw3 = (np.zeros(v.shape) for v in (x, w1, w2, w3))
    for n in range(len(x)):
        a = [float(np.dot(w, x[n])) for w in w1]
        for k in range(len(w2)):
            dx[n] += dout[n, k] * w3[k]
            dw3[k] += dout[n, k] * x[n]
            for m, value in enumerate(a):
                if value > 0:
                    dw2[k, m] += dout[n, k] * value
                    dx[n] += dout[n, k] * w2[k, m] * w1[m]
                    dw1[m] += dout[n, k] * w2[k, m] * x[n]
    return dx, dw1, dw2, dw3


def chain_of_layers(dout, x, w1, w2, w3):
    b = np.where(x @ w1.T > 0, x @ w1.T, 0)
    db, dw2, _ = solution.linear_backward(dout, b, w2)
    through_relu = np.where(b > 0, db, 0)
    long_way, dw1, _ = solution.linear_backward(through_relu, x, w1)
    short_way, dw3, _ = solution.linear_backward(dout, x, w3)
    long_way += short_way
    return long_way, dw1, dw2, dw3


def chain_of_blocks(dout, x, w1, w2, w3):
    """Both ways as one product: out = [B x] [w2 w3]^T."""
    a = x @ w1.T
    both, weights = np.concatenate([a.clip(min=0), x], axis=1), np.concatenate([w2, w3], axis=1)
    dboth, dweights = dout @ weights, dout.T @ both
    m = len(w1)
    da = dboth[:, :m] * np.heaviside(a, 0)
    return dboth[:, m:] + da.dot(w1), da.T.dot(x), dweights[:, :m].copy(), dweights[:, m:].copy()


STYLES = {
    "linear_backward": [solution.linear_backward, einsum, loops, outer_products, with_a_row_of_ones],
    "chain_backward": [solution.chain_backward, chain_einsum, chain_loops, chain_of_layers, chain_of_blocks],
}
