// One step of SGD; see tinyalex/optim.py.

// v <- momentum v - lr dw - lr decay w,    w <- w + v,    dw <- 0.
// One pass: each of the three arrays is read once and written once.
extern "C" __global__ void sgd_step(real* w, real* dw, real* v, real lr, real momentum, real decay, int size)
{
    int index = own_index();
    if (index >= size) return;
    real weight = w[index], velocity = momentum * v[index] - lr * dw[index] - lr * decay * weight;
    v[index] = velocity;
    w[index] = weight + velocity;
    dw[index] = 0;
}
