"""The parts of `mg.gradcheck`.

subject             what is checked: a function and its gradients, on NumPy arrays;
                    `tensor_subject`, `array_subject`: over tensors, over arrays
flat                a subject as a function of one vector; counts evaluations
finite_difference   numeric slopes with error bars
checker             the comparison, entry by entry and along directions, and the verdict
report, diagram     what was found, as text, JSON and SVG
"""
