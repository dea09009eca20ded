"""The lines of the op table for products of matrices and vectors."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from ...ops.products import affine, contract
from ..cases import Case, calls, each, listed, real

__all__ = ["PRODUCT_CASES"]

PRODUCT_CASES: dict[str, list[Case]] = {
    "matmul": calls(
        mg.matmul,
        np.matmul,
        [
            *((real(3), real(3)), (real(2, 3), real(3)), (real(3), real(3, 2))),
            *((real(2, 3), real(3, 4)), (real(2, 2, 3), real(3, 2)), (real(2, 3), real(2, 3, 2))),
            *((real(2, 2, 3), real(2, 3, 2)), (real(2, 1, 1, 3), real(2, 3, 1))),
            *((real(2, 2, 3), real(3)), (real(3), real(2, 3, 2)), (real(1, 2, 3), real(2, 3, 1))),
            *((real(2, 0), real(0, 3)), (real(0, 2), real(2, 3)), (real(2, 0, 3), real(3, 2))),
        ],
    ),
    "affine": calls(
        affine,
        lambda x, weight, bias: x @ weight.T + bias,
        [
            *((real(2, 3), real(4, 3), real(4)), (real(3), real(2, 3), real(2))),
            *((real(2, 2, 3), real(1, 3), real(1)), (real(2, 2, 1, 3), real(2, 3), real(2))),
            *((real(0, 3), real(2, 3), real(2)), (real(2, 0), real(3, 0), real(3))),
        ],
    ),
    "dot": calls(
        mg.dot,
        np.dot,
        [
            *(
                (real(), real(3)),
                (real(3), real(3)),
                (real(2, 3), real(3)),
                (real(2, 3), real(3, 2)),
            ),
            *((real(3), real(2, 3, 2)), (real(2, 3), real(2, 3, 2)), (real(0), real(0))),
        ],
    ),
    "outer": calls(
        mg.outer, np.outer, [(real(2), real(3)), (real(2, 2), real()), (real(0), real(2))]
    ),
    "inner": calls(
        mg.inner,
        np.inner,
        [
            *(
                (real(3), real(3)),
                (real(2, 3), real(3)),
                (real(2, 3), real(4, 3)),
                (real(), real(3)),
            ),
            *((real(2, 2, 3), real(2, 3)), (real(2, 0), real(3, 0))),
        ],
    ),
    "tensordot": calls(
        mg.tensordot,
        np.tensordot,
        [(real(2, 3, 2), real(3, 2, 2))],
        each("axes", 2, ((1, 0), (0, 1)), (-1, -1)),
    )
    + calls(mg.tensordot, np.tensordot, [(real(2), real(3)), (real(), real(2))], each("axes", 0))
    + calls(mg.tensordot, np.tensordot, [(real(2, 0), real(2, 0))]),
    "einsum": [
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [real(3, 3)],
            each("text", "ij->ji", "ij", "ij->", "ij->j", "ii", "ii->i", "...j->...", "ji"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 3), real(3, 2))],
            each("text", "ij,jk->ik", "ij,jk", "ij,kl->jk", "ij,ji->", "ij , jk -> ki", "ij,ab"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 2, 3), real(3, 2))],
            each("text", "bij,jk->bik", "...ij,jk->...ik", "bij,jk->kb", "iij,jk->ik"),
        ),
        *calls(
            lambda *xs: mg.einsum("ij,jk,kl->il", *xs),
            lambda *xs: np.einsum("ij,jk,kl->il", *xs),
            [(real(2, 3), real(3, 2), real(2, 2)), (real(0, 2), real(2, 2), real(2, 0))],
        ),
        *calls(  # an index of size 1 in one operand, and longer in another
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2), real(1)), (real(1), real(3))],
            each("text", "i,i", "i,i->i"),
        ),
        *calls(
            lambda *xs, text: mg.einsum(text, *xs),
            lambda *xs, text: np.einsum(text, *xs),
            [(real(2, 3), real(1, 2)), (real(2, 1), real(3, 1))],
            each("text", "ij,jk->ik", "ij,jk", "ij,jk->j", "ij,jk->kji"),
        ),
    ],
    "contract": calls(
        listed(contract),
        lambda a, b, terms, output: np.einsum(f"{','.join(terms)}->{output}", a, b),
        [(real(2, 3), real(3, 2))],
        [{"terms": ("ij", "jk"), "output": "ik"}, {"terms": ("ij", "ji"), "output": ""}],
    ),
}
