"""Functions of elements, edits, products, random numbers. `rows.py` says how a row is written.

In the lines x and y are tensors of floats (2, 3), a and b matrices (2, 2), v a vector (3,), i
integers, and m truth values (2, 3).
"""

ELEMENTWISE = """
*.add np.add -> x + y  # With alpha: x + 2 * y
torch.sub x.sub torch.rsub x.rsub x.subtract -> x - y
torch.mul x.mul x.multiply -> x * y
torch.div x.div torch.true_divide x.true_divide x.divide np.true_divide -> x / y
torch.pow x.pow torch.float_power x.float_power np.float_power x.power -> x ** 2
torch.neg x.neg x.negative -> -x
torch.positive x.positive np.positive -> x
torch.absolute x.absolute np.absolute np.fabs -> mg.abs(x)
torch.clamp x.clamp F.hardtanh nn.Hardtanh -> x.clip(0, 1)
torch.clamp_min x.clamp_min -> x.clip(min=0)
torch.clamp_max x.clamp_max -> x.clip(max=1)
*.erfc torch.special.erfc -> 1 - mg.erf(x)
x.is_nonzero -> bool(v[0] != 0)
*.rsqrt -> x ** -0.5
*.asin x.arcsin -> mg.arcsin(v)
*.acos x.arccos -> mg.arccos(v)
*.atan x.arctan -> mg.arctan(x)
*.asinh x.arcsinh -> mg.arcsinh(x)
*.acosh x.arccosh -> mg.arccosh(x + 1)
*.atanh x.arctanh -> mg.arctanh(v)
torch.atan2 x.atan2 -> mg.arctan2(x, y)
torch.sgn x.sgn -> mg.sign(x)
torch.addcmul x.addcmul -> x + 0.5 * y * y
torch.addcdiv x.addcdiv -> x + 0.5 * y / y
torch.lerp x.lerp -> x + 0.5 * (y - x)
torch.frac x.frac -> x - x.astype('int64')
torch.cbrt np.cbrt -> mg.sign(x) * mg.abs(x) ** (1 / 3)
*.logit torch.special.logit scipy.special.logit -> mg.log(v / (1 - v))
torch.expit torch.special.expit scipy.special.expit -> mg.sigmoid(x)
torch.special.logsumexp scipy.special.logsumexp np.logaddexp.reduce -> mg.logsumexp(x, axis=1)
torch.special.softmax scipy.special.softmax -> mg.softmax(x, axis=1)
np.logaddexp2 torch.logaddexp2 x.logaddexp2 -> mg.logaddexp(x * np.log(2), y * np.log(2)) /
    np.log(2)
np.sinc torch.sinc x.sinc torch.special.sinc -> mg.sin(np.pi * v) / (np.pi * v)  # At 0 it is 1:
    mg.where(x == 0, 1.0, ...) on both sides of the division
np.gradient torch.gradient -> (v[2:] - v[:-2]) / 2  # Inside; v[1] - v[0] and v[-1] - v[-2] at the
    ends
np.around np.rint -> mg.round(x)
np.fix torch.fix x.fix -> mg.trunc(x)
*.remainder np.remainder -> x % y  # Of the sign of y
*.fmod np.fmod -> x - y * mg.trunc(x / y)  # Of the sign of x
np.copysign torch.copysign x.copysign -> mg.abs(x) * mg.sign(y)  # Which is 0 where y is
*.isposinf np.isposinf -> x == float('inf')
*.isneginf np.isneginf -> x == -float('inf')
torch.special.expm1 -> mg.expm1(x)
torch.special.log1p -> mg.log1p(x)
torch.special.xlogy torch.xlogy x.xlogy -> x * mg.log(mg.where(x == 0, 1.0, y))
torch.deg2rad x.deg2rad np.deg2rad np.radians -> x * (np.pi / 180)
torch.rad2deg x.rad2deg np.rad2deg np.degrees -> x * (180 / np.pi)
torch.eq x.eq -> x == y
torch.equal x.equal np.array_equal np.array_equiv -> bool((x == y).all())  # mg.equal compares
    element by element
torch.ne x.ne x.not_equal -> x != y
torch.lt x.lt x.less -> x < y
torch.le x.le x.less_equal -> x <= y
torch.gt x.gt x.greater -> x > y
torch.ge x.ge x.greater_equal -> x >= y
torch.fmax x.fmax np.fmax -> mg.maximum(x, y)  # NaN wins, as in np.maximum
torch.fmin x.fmin np.fmin -> mg.minimum(x, y)  # NaN wins, as in np.minimum
*.logical_xor np.logical_xor -> (x != 0) != (y != 0)
np.invert -> ~i
*.bitwise_left_shift -> i << 1
*.bitwise_right_shift -> i >> 1
np.select np.choose np.piecewise -> mg.where(x > 0, x, 0.0)
np.heaviside torch.heaviside x.heaviside -> mg.where(x > 0, 1.0, 0.0)
*.signbit np.signbit -> x < 0
torch.real x.real np.real -> x
torch.imag x.imag np.imag torch.conj x.conj np.conj x.resolve_conj -> x  # Tensors are of real
    numbers
np.interp ->  # NumPy's does: np.interp(v.detach().numpy(), ...); it has no gradient
x.apply_ x.map_ np.vectorize ->  # Write it in operators and mg's functions, which work on whole
    tensors
"""

IN_PLACE = """
x.add_ -> x += y  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.sub_ x.subtract_ -> x -= y  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.mul_ x.multiply_ -> x *= y  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.div_ x.divide_ -> x /= y  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.pow_ -> x **= 2  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.addcmul_ -> x += 0.5 * y * y  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.addcdiv_ -> x += 0.5 * y / y  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.lerp_ -> x += 0.5 * (y - x)  # Within mg.no_grad() it edits x, elsewhere it makes a new tensor
x.copy_ x.set_ -> x[:] = y  # Or x.data = y
x.fill_ x.fill -> x[:] = 7.0
x.zero_ torch.zero_ -> x[:] = 0.0  # A gradient: x.zero_grad()
x.clamp_ x.clip_ x.clamp_min_ x.clamp_max_ -> x = x.clip(0, 1)
x.uniform_ -> mg.nn.init.uniform_(x, -0.1, 0.1)
x.normal_ -> mg.nn.init.normal_(x, 0.0, 0.1)
x.bernoulli_ -> x[:] = mg.bernoulli(0.5, size=(2, 3))
x.random_ x.exponential_ -> x[:] = mg.rand(2, 3)
x.data.add_ x.data.sub_ x.data.addcmul_ x.data.addcdiv_ -> x.data -= 0.1 * y.data  # x.data is the
    backend's own array, which operators edit. Or, within mg.no_grad(): x -= 0.1 * y
x.data.mul_ x.data.div_ -> x.data *= 0.9  # x.data is the backend's own array, which operators edit
x.data.copy_ -> x.data[:] = y.data  # Or x.data = y
x.data.fill_ x.data.zero_ -> x.data[:] = 0.0
x.data.clamp_ x.data.clip_ -> x.data = x.detach().clip(0, 1)
x.data.uniform_ -> mg.nn.init.uniform_(x, -0.1, 0.1)
x.data.normal_ -> mg.nn.init.normal_(x, 0.0, 0.1)
x.data.norm -> mg.norm(x.detach())  # x.data is the backend's own array
x.data.cpu x.data.numpy x.data.clone x.data.detach -> x.numpy()  # A copy, as NumPy's array
x.data.numel x.data.dim -> x.size
"""

PRODUCTS = """
np.multiply.outer -> mg.outer(v, v)
torch.mm x.mm torch.bmm x.bmm torch.mv x.mv torch.linalg.multi_dot torch.chain_matmul x.matmul
    torch.linalg.matmul np.linalg.multi_dot -> a @ b
torch.addmm x.addmm torch.addmv torch.addbmm torch.baddbmm x.baddbmm -> a + a @ b
torch.addr x.addr -> a + mg.outer(a[0], b[0])
torch.ger x.ger -> mg.outer(v, v)
torch.vdot x.vdot np.vdot torch.linalg.vecdot np.vecdot -> mg.dot(v, v)
*.kron np.kron -> mg.tensordot(a, b, 0).transpose(0, 2, 1, 3).reshape(4, 4)
*.cross np.cross torch.linalg.cross -> mg.einsum('ijk,j,k->i', mg.zeros((3, 3, 3)), v, v)  # With
    the Levi-Civita symbol in place of the zeros
torch.cdist F.pairwise_distance nn.PairwiseDistance -> mg.norm(x[:, None] - y[None], axis=-1)
F.cosine_similarity torch.cosine_similarity nn.CosineSimilarity -> mg.sum(x * y, axis=1) /
    (mg.norm(x, axis=1) * mg.norm(y, axis=1))
F.bilinear nn.Bilinear -> mg.einsum('bi,oij,bj->bo', x, mg.ones((4, 3, 3)), y)
*.matrix_power np.linalg.matrix_power -> a @ a @ a
np.linalg.norm torch.linalg.norm torch.linalg.vector_norm np.linalg.vector_norm
    torch.frobenius_norm -> mg.linalg.norm(x, axis=1)
torch.inverse x.inverse x.inv -> mg.linalg.inv(a)
torch.det x.det -> mg.linalg.det(a)
torch.slogdet x.slogdet -> sign, logabsdet = mg.linalg.slogdet(a)
torch.logdet x.logdet -> mg.linalg.slogdet(a).logabsdet  # Of the absolute value
torch.cholesky x.cholesky -> mg.linalg.cholesky(a @ a.T + mg.eye(2))
torch.linalg.solve_triangular torch.cholesky_solve torch.linalg.inv_ex -> mg.linalg.solve(a, b)
*.svd torch.linalg.svd np.linalg.svd -> np.linalg.svd(a.detach().numpy())  # Without gradients
*.qr torch.linalg.qr np.linalg.qr -> np.linalg.qr(a.detach().numpy())  # Without gradients
torch.linalg.eigh np.linalg.eigh -> np.linalg.eigh(a.detach().numpy())  # Without gradients
*.eig torch.linalg.eig np.linalg.eig -> np.linalg.eig(a.detach().numpy())  # Without gradients
*.pinverse torch.linalg.pinv np.linalg.pinv -> np.linalg.pinv(a.detach().numpy())  # Without
    gradients
torch.linalg.lstsq np.linalg.lstsq -> mg.linalg.solve(a.T @ a, a.T @ b)  # Where a has full rank
torch.linalg.matrix_norm np.linalg.matrix_norm -> mg.linalg.norm(a)  # The Frobenius norm
"""

RANDOM = """
torch.random.manual_seed torch.seed torch.initial_seed torch.cuda.manual_seed
    torch.cuda.manual_seed_all np.random.seed torch.mps.manual_seed -> mg.manual_seed(0)  # All
    randomness is controlled by it, on every backend
torch.Generator torch.default_generator np.random.default_rng np.random.RandomState
    torch.get_rng_state torch.set_rng_state torch.random.fork_rng torch.cuda.get_rng_state ~>
    mg.manual_seed(0)  # minigrad has one stream of random numbers
np.random.rand np.random.random np.random.uniform torch.distributions.Uniform -> mg.rand(2, 3)
np.random.randn np.random.normal np.random.standard_normal torch.distributions.Normal ->
    mg.randn(2, 3)
torch.randperm np.random.permutation np.random.shuffle -> mg.permutation(5)
torch.multinomial x.multinomial np.random.choice torch.distributions.Categorical -> mg.choice(3,
    size=2, p=[0.2, 0.3, 0.5])
np.random.randint np.random.integers torch.randint_like -> mg.randint(0, 10, size=(2, 3))
np.random.binomial x.bernoulli torch.distributions.Bernoulli -> mg.bernoulli(0.5, size=(2, 3))
torch.normal -> 0.0 + 0.1 * mg.randn(2, 3)
torch.poisson torch.distributions.Poisson torch.distributions ->
    np.random.default_rng(0).poisson(x.detach().numpy())  # NumPy draws it: mg.tensor(...) makes a
    tensor of that
"""

GROUPS = {
    "Element by element": ELEMENTWISE,
    "In place": IN_PLACE,
    "Products": PRODUCTS,
    "Random numbers": RANDOM,
}
