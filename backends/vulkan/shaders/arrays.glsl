// Arrays by their address. Rows of all matrices are whole vectors long.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require

// Before anything that looks at gl_WorkGroupSize, which is 1 until then.
layout(local_size_x_id = 0) in;

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Vectors {
    vec4 v[];
};

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats {
    float v[];
};

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words {
    uint v[];
};

// The number of a workgroup in its dispatch, whose groups go on in y where there are many.
uint group_number() {
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

// The number of an invocation in its dispatch.
uint item_number() {
    return gl_GlobalInvocationID.y * gl_NumWorkGroups.x * gl_WorkGroupSize.x + gl_GlobalInvocationID.x;
}
