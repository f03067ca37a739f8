// exp and log to about one unit in the last place, where GLSL's own may be off by more. Polynomials: Cephes (Moshier),
// expf and logf.

// For x <= 0; below -87 it is 0.
float exponential(float x) {
    if (x < -87.0) {
        return 0.0;
    }
    precise float n = floor(fma(x, 1.44269504, 0.5));
    precise float r = fma(n, -0.693359375, x);
    r = fma(n, 2.12194440e-4, r);
    precise float p = 1.9875691500e-4;
    p = fma(p, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    p = fma(p * r, r, r) + 1.0;
    return ldexp(p, int(n));
}

// For x >= 1.
float logarithm(float x) {
    int exponent;
    precise float m = frexp(x, exponent);
    if (m < 0.707106781) {
        m = m + m;
        exponent--;
    }
    precise float r = m - 1.0;
    precise float z = r * r;
    precise float p = 7.0376836292e-2;
    p = fma(p, r, -1.1514610310e-1);
    p = fma(p, r, 1.1676998740e-1);
    p = fma(p, r, -1.2420140846e-1);
    p = fma(p, r, 1.4249322787e-1);
    p = fma(p, r, -1.6668057665e-1);
    p = fma(p, r, 2.0000714765e-1);
    p = fma(p, r, -2.4999993993e-1);
    p = fma(p, r, 3.3333331174e-1);
    precise float e = float(exponent);
    precise float y = p * r * z;
    y = fma(e, -2.12194440e-4, y);
    y = fma(z, -0.5, y);
    return fma(e, 0.693359375, r + y);
}
