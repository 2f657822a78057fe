"""Your file: twelve exercises, one after the other. Write a function in place of its `raise`, then try it:

    tinyalex check --file mine.py          in a terminal, all that you have written
    tutor.check("E06", max_pool)           in a notebook, after `from tinyalex import tutor`

`tutor.hint("E06")` gives a hint, one at a time. Every function returns new arrays and leaves its arguments as they are, but where
its page says otherwise. Images are x (N, C, H, W): N images of C channels, H lines and W columns.
"""



# E06  overlapping max pooling, lesson 04, about 25 minutes


def max_pool(x, kernel, stride):
    """The largest pixel of each window (paper 3.4, "overlapping" pooling).

    out[n, c, y, z] = max over i, j of x[n, c, stride y + i, stride z + j],   i, j = 0 ... kernel - 1

    Parameters
    ----------
    x: (N, C, H, W), floats of both signs.
    kernel, stride: integers of at least 1; windows overlap where the stride is smaller than the kernel.

    Returns
    -------
    out: (N, C, OH, OW), a new array, OH = (H - kernel) // stride + 1: only windows that lie wholly on the image. x is left as it is.
    """
    raise NotImplementedError


def max_pool_backward(dout, x, kernel, stride):
    """The gradient of the loss with respect to x, from that with respect to the output of `max_pool`.

    Which pixel won each window is not given: look again. Where several pixels of a window are equal, as whole windows of zeros are
    after ReLU, one of them gets the gradient of the window, or all share it; the sum of dx is the sum of dout.

    Parameters
    ----------
    dout: (N, C, OH, OW), the gradient of the loss with respect to the output.
    x: (N, C, H, W), the input of the forward pass.
    kernel, stride: as in `max_pool`.

    Returns
    -------
    dx: (N, C, H, W), a new array. dout and x are left as they are.
    """
    raise NotImplementedError
