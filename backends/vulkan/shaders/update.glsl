// What changes from one update to the next: written by the host into a ring, taken from it by the first kernel of an
// update, whose last workgroup leaves it in `control` for the kernels behind. So the same commands can be submitted again.
// The structs are struct bm_vulkan_update and struct bm_vulkan_control of session.h.

#define RING_SIZE 1024

struct Update {
    uint first; // in the order; in evaluation, of the split
    uint number;
    uint loss_count; // images whose losses are added to those of the slices before
    float divisor;
    float rate;
    float momentum;
    float decay;
    float beta1;
    float rest1; // 1 - beta1
    float beta2;
    float rest2;
    float epsilon;
    float trust;
    float correction1; // 1 / (1 - beta1^t)
    float correction2;
    float rate_decay; // rate decay
};

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Ring {
    Update v[];
};

layout(buffer_reference, std430, buffer_reference_align = 16) coherent buffer Control {
    Update current;
    uint next;
    uint done; // workgroups that have taken the update
};

Update take_update(Control control, Ring ring) {
    return ring.v[control.next % RING_SIZE];
}

// By all invocations of the first kernel, at its end.
void leave_update(Control control, Update update) {
    memoryBarrierBuffer();
    barrier();
    if (gl_LocalInvocationIndex == 0) {
        uint groups = gl_NumWorkGroups.x * gl_NumWorkGroups.y * gl_NumWorkGroups.z;
        if (atomicAdd(control.done, 1) == groups - 1) {
            control.current = update;
            control.done = 0;
            control.next++;
        }
    }
}
