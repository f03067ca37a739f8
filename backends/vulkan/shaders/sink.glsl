// Where a gradient goes: to the array of gradients, or at once into the step of its parameters.

struct Sink {
    Vectors gradient;
    Vectors weights;
    Vectors m; // the state's slots
    Vectors v;
    Control control;
};
