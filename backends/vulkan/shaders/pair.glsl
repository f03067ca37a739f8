// Sums with about 48 bits, for devices with and without float64: a number is x + y with |y| at most half a unit in the last
// place of x. Their range is that of float32: the square of what is below 1e-19 or above 1.8e19 is lost. TwoSum and TwoProd: Knuth 1969; Dekker 1971.

vec2 pair_add(vec2 a, vec2 b) {
    precise float sum = a.x + b.x;
    precise float part = sum - a.x;
    precise float rest = (a.x - (sum - part)) + (b.x - part);
    precise float low = rest + (a.y + b.y);
    precise float high = sum + low;
    precise float left = low - (high - sum);
    return vec2(high, left);
}

vec2 pair_square(float a) {
    precise float product = a * a;
    precise float rest = fma(a, a, -product);
    return vec2(product, rest);
}
