"""The parts of `mg.gradcheck`.

subject             what is checked: a function and its gradients, on NumPy arrays;
                    `tensor_subject`, `array_subject`: over tensors, over arrays
flat                a subject as a function of one vector; counts evaluations
noise, backward     the rounding errors of its outputs, and of its gradient
finite_difference   numeric slopes with error bars; `slope` holds what is known of one
second_look         what is measured once more before a gradient is called wrong
claim               an analytic slope, and whether it stands up to the numeric one
checker             the comparison, entry by entry and along directions, and the verdict
report, diagram     what was found, as text, JSON and SVG
whereabouts         layer, direction, gate and time step, for recurrent layers
"""
