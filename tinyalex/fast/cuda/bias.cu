// What follows a product: the bias, and ReLU where one follows; see tinyalex/layers/conv.py and tinyalex/layers/activation.py.

// out[n, k, p] = f(product[n, k, p] + bias[k]), where f(v) = max(0, v) if relu, else f(v) = v. out is (N, K, P).
// The product may have its filters first, as one product for all images gives them: n and k have the strides of_image and of_filter there.
// out may be the product itself where the strides are those of out, because a thread reads and writes one element.
extern "C" __global__ void add_bias(const real* product, const real* bias, real* out, int N, int K, int P, int of_image, int of_filter,
                                    int relu)
{
    int index = own_index();
    if (index >= N * K * P) return;
    int p = index % P, k = index / P % K, n = index / (P * K);
    real value = product[n * of_image + k * of_filter + p] + bias[k];
    out[index] = relu && value < 0 ? 0 : value;
}

// dx = dout where out > 0, else 0. A product, because 0 times NaN is NaN: the plain function shows it too.
extern "C" __global__ void relu_backward(const real* out, const real* dout, real* dx, int size)
{
    int index = own_index();
    if (index < size) dx[index] = (real)(out[index] > 0) * dout[index];
}
