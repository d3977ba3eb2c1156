//! Elliptic-curve arithmetic for every curve a travel document may use.
//!
//! One generic short-Weierstrass implementation serves NIST P-192 to P-521 and
//! brainpool 160 to 512 (`data/curves.txt`), because documents carry their curve as
//! explicit parameters (ICAO 9303-12 4.1.6.3) and no maintained crate covers them all.
//! Explicit parameters are accepted only when they equal a listed curve, base point and
//! order included; anything else is refused (CVE-2020-0601).
//!
//! Arithmetic is Montgomery multiplication on fixed limbs and the complete addition law of
//! Renes, Costello and Batina (2016, algorithm 1): no branches on values. Verification works on
//! public data and uses a joint ladder; secret scalars (ephemeral PACE and chip
//! authentication keys, one use each) go through [`Curve::multiply`], which performs the same
//! operations for every scalar. It has not been audited for constant time.

use num_bigint::BigUint;
use std::sync::OnceLock;

/// 576 bits: room for P-521.
const LIMBS: usize = 9;
type Limbs = [u64; LIMBS];

/// An odd prime modulus with what Montgomery multiplication needs.
#[derive(Debug, Clone)]
struct Modulus {
    m: Limbs,
    n: usize,
    inv: u64,
    /// R mod m
    one: Limbs,
    /// R² mod m
    r2: Limbs,
}

fn limbs(value: &BigUint) -> Limbs {
    let mut out = [0; LIMBS];
    for (to, from) in out.iter_mut().zip(value.iter_u64_digits()) {
        *to = from;
    }
    out
}

fn from_limbs(value: &Limbs) -> BigUint {
    let bytes: Vec<u8> = value.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigUint::from_bytes_le(&bytes)
}

impl Modulus {
    fn new(m: &BigUint) -> Self {
        let n = usize::try_from(m.bits().div_ceil(64)).unwrap_or(LIMBS).min(LIMBS);
        let words = limbs(m);
        // Newton iteration for -m⁻¹ mod 2⁶⁴
        let mut inv = 1u64;
        for _ in 0..6 {
            inv = inv.wrapping_mul(2u64.wrapping_sub(words[0].wrapping_mul(inv)));
        }
        let r = BigUint::from(1u8) << (64 * n);
        Self { m: words, n, inv: inv.wrapping_neg(), one: limbs(&(&r % m)), r2: limbs(&(&r * &r % m)) }
    }

    /// Subtracts the modulus when `value` (with `carry` above it) is not below it, without branching.
    fn reduce(&self, value: &Limbs, carry: u64) -> Limbs {
        let mut difference = [0; LIMBS];
        let mut borrow = 0u64;
        for i in 0..self.n {
            let (d, b1) = value[i].overflowing_sub(self.m[i]);
            let (d, b2) = d.overflowing_sub(borrow);
            difference[i] = d;
            borrow = u64::from(b1 | b2);
        }
        // keep `value` only when the subtraction borrowed and there was no carry to lend
        let keep = (borrow & (1 ^ carry)).wrapping_neg();
        let mut out = [0; LIMBS];
        for (to, (old, new)) in out.iter_mut().zip(value.iter().zip(&difference)).take(self.n) {
            *to = (old & keep) | (new & !keep);
        }
        out
    }

    fn add(&self, a: &Limbs, b: &Limbs) -> Limbs {
        let mut sum = [0; LIMBS];
        let mut carry = 0u64;
        for i in 0..self.n {
            let (s, c1) = a[i].overflowing_add(b[i]);
            let (s, c2) = s.overflowing_add(carry);
            sum[i] = s;
            carry = u64::from(c1 | c2);
        }
        self.reduce(&sum, carry)
    }

    fn sub(&self, a: &Limbs, b: &Limbs) -> Limbs {
        let mut out = [0; LIMBS];
        let mut borrow = 0u64;
        for (to, (x, y)) in out.iter_mut().zip(a.iter().zip(b)).take(self.n) {
            let (d, b1) = x.overflowing_sub(*y);
            let (d, b2) = d.overflowing_sub(borrow);
            *to = d;
            borrow = u64::from(b1 | b2);
        }
        let mask = borrow.wrapping_neg();
        let mut carry = 0u64;
        for (to, modulus) in out.iter_mut().zip(&self.m).take(self.n) {
            let (s, c1) = to.overflowing_add(modulus & mask);
            let (s, c2) = s.overflowing_add(carry);
            *to = s;
            carry = u64::from(c1 | c2);
        }
        out
    }

    /// Montgomery product a·b·R⁻¹ (CIOS).
    fn mul(&self, a: &Limbs, b: &Limbs) -> Limbs {
        let n = self.n;
        let mut t = [0u64; LIMBS + 2];
        for &word in &b[..n] {
            let mut carry = 0u128;
            for j in 0..n {
                let v = u128::from(a[j]) * u128::from(word) + u128::from(t[j]) + carry;
                t[j] = v as u64;
                carry = v >> 64;
            }
            let v = u128::from(t[n]) + carry;
            t[n] = v as u64;
            t[n + 1] = (v >> 64) as u64;
            let q = t[0].wrapping_mul(self.inv);
            let mut carry = (u128::from(q) * u128::from(self.m[0]) + u128::from(t[0])) >> 64;
            for j in 1..n {
                let v = u128::from(q) * u128::from(self.m[j]) + u128::from(t[j]) + carry;
                t[j - 1] = v as u64;
                carry = v >> 64;
            }
            let v = u128::from(t[n]) + carry;
            t[n - 1] = v as u64;
            t[n] = t[n + 1] + (v >> 64) as u64;
        }
        let mut value = [0; LIMBS];
        value[..n].copy_from_slice(&t[..n]);
        self.reduce(&value, t[n])
    }

    fn enter(&self, value: &BigUint) -> Limbs {
        self.mul(&limbs(value), &self.r2)
    }

    fn leave(&self, value: &Limbs) -> BigUint {
        let mut one = [0; LIMBS];
        one[0] = 1;
        from_limbs(&self.mul(value, &one))
    }

    /// The inverse by Fermat; 0 for 0. In and out in Montgomery form.
    fn invert(&self, value: &Limbs) -> Limbs {
        let exponent = from_limbs(&self.m) - 2u8;
        let mut out = self.one;
        for at in (0..exponent.bits()).rev() {
            out = self.mul(&out, &out);
            if exponent.bit(at) {
                out = self.mul(&out, value);
            }
        }
        out
    }
}

/// A point of a curve in affine coordinates, or the point at infinity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The neutral element.
    Infinity,
    /// A point with its coordinates.
    Affine {
        /// The x coordinate.
        x: BigUint,
        /// The y coordinate.
        y: BigUint,
    },
}

/// Projective, in Montgomery form.
#[derive(Clone, Copy)]
struct Projective {
    x: Limbs,
    y: Limbs,
    z: Limbs,
}

/// A listed curve y² = x³ + ax + b over a prime field, with cofactor 1.
#[derive(Debug)]
pub struct Curve {
    /// Its usual name, such as `brainpoolP256r1`.
    pub name: &'static str,
    /// Its object identifier in dotted form.
    pub oid: &'static str,
    /// The standardised domain parameter id of ICAO 9303-11 table 6, where it has one.
    pub parameter_id: Option<u32>,
    /// The field's prime.
    pub p: BigUint,
    /// The coefficient a.
    pub a: BigUint,
    /// The coefficient b.
    pub b: BigUint,
    /// The base point.
    pub generator: Point,
    /// The order of the base point.
    pub n: BigUint,
    field: Modulus,
    order: Modulus,
    a_mont: Limbs,
    b3_mont: Limbs,
}

impl PartialEq for Curve {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid
    }
}

/// All listed curves.
pub fn curves() -> &'static [Curve] {
    static CURVES: OnceLock<Vec<Curve>> = OnceLock::new();
    CURVES.get_or_init(|| {
        include_str!("../data/curves.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Curve::from_line(&line.split(' ').collect::<Vec<_>>()))
            .collect()
    })
}

/// The listed curve with this object identifier.
pub fn by_oid(oid: &str) -> Option<&'static Curve> {
    curves().iter().find(|curve| curve.oid == oid)
}

/// The listed curve with this name.
pub fn by_name(name: &str) -> Option<&'static Curve> {
    curves().iter().find(|curve| curve.name == name)
}

/// The curve with this standardised domain parameter id (ICAO 9303-11 table 6).
pub fn by_parameter_id(id: u32) -> Option<&'static Curve> {
    curves().iter().find(|curve| curve.parameter_id == Some(id))
}

fn number(hexadecimal: &str) -> Option<BigUint> {
    BigUint::parse_bytes(hexadecimal.as_bytes(), 16)
}

impl Curve {
    fn from_line(fields: &[&'static str]) -> Option<Self> {
        let [name, oid, id, p, a, b, gx, gy, n] = *fields else { return None };
        let (p, a, b, n) = (number(p)?, number(a)?, number(b)?, number(n)?);
        let field = Modulus::new(&p);
        let order = Modulus::new(&n);
        let a_mont = field.enter(&a);
        let b3_mont = field.enter(&(&b * 3u8 % &p));
        let generator = Point::Affine { x: number(gx)?, y: number(gy)? };
        Some(Self {
            name,
            oid,
            parameter_id: id.parse().ok(),
            p,
            a,
            b,
            generator,
            n,
            field,
            order,
            a_mont,
            b3_mont,
        })
    }

    /// Length of one coordinate in bytes.
    pub fn field_bytes(&self) -> usize {
        usize::try_from(self.p.bits().div_ceil(8)).unwrap_or(0)
    }

    /// Length of a number below the order in bytes.
    pub fn order_bytes(&self) -> usize {
        usize::try_from(self.n.bits().div_ceil(8)).unwrap_or(0)
    }

    /// The listed curve that equals these explicit parameters; `None` for any other.
    pub fn matching(
        p: &BigUint,
        a: &BigUint,
        b: &BigUint,
        generator: &[u8],
        n: &BigUint,
    ) -> Option<&'static Curve> {
        curves().iter().find(|curve| {
            // a may be written as a negative number's residue or reduced: compare reduced
            curve.p == *p
                && curve.n == *n
                && curve.a == a % p
                && curve.b == b % p
                && curve.decode_point(generator).is_some_and(|point| point == curve.generator)
        })
    }

    /// Whether the coordinates satisfy the equation.
    pub fn contains(&self, x: &BigUint, y: &BigUint) -> bool {
        if *x >= self.p || *y >= self.p {
            return false;
        }
        y * y % &self.p == (x * x * x + &self.a * x + &self.b) % &self.p
    }

    /// Decodes an uncompressed or compressed point (SEC 1, 2.3.4) that lies on the curve; never infinity.
    pub fn decode_point(&self, bytes: &[u8]) -> Option<Point> {
        let size = self.field_bytes();
        let (form, rest) = bytes.split_first()?;
        match form {
            // 6 and 7 are the hybrid form; the parity it adds must be right
            4 | 6 | 7 if rest.len() == 2 * size => {
                let (x, y) = rest.split_at(size);
                let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
                let parity_ok = *form == 4 || y.bit(0) == (*form == 7);
                (parity_ok && self.contains(&x, &y)).then_some(Point::Affine { x, y })
            }
            2 | 3 if rest.len() == size => {
                let x = BigUint::from_bytes_be(rest);
                let y = self.lift_x(&x)?;
                let y = if y.bit(0) == (*form == 3) { y } else { &self.p - y };
                self.contains(&x, &y).then_some(Point::Affine { x, y })
            }
            _ => None,
        }
    }

    /// A square root of the right side at `x`, when there is one.
    fn lift_x(&self, x: &BigUint) -> Option<BigUint> {
        if *x >= self.p {
            return None;
        }
        square_root(&((x * x * x + &self.a * x + &self.b) % &self.p), &self.p)
    }

    /// Encodes a point without compression; infinity becomes a single zero byte.
    pub fn encode_point(&self, point: &Point) -> Vec<u8> {
        match point {
            Point::Infinity => vec![0],
            Point::Affine { x, y } => {
                let mut out = vec![4];
                out.extend(fixed(x, self.field_bytes()));
                out.extend(fixed(y, self.field_bytes()));
                out
            }
        }
    }

    fn enter(&self, point: &Point) -> Projective {
        match point {
            Point::Infinity => Projective { x: [0; LIMBS], y: self.field.one, z: [0; LIMBS] },
            Point::Affine { x, y } => {
                Projective { x: self.field.enter(x), y: self.field.enter(y), z: self.field.one }
            }
        }
    }

    fn leave(&self, point: &Projective) -> Point {
        if point.z == [0; LIMBS] {
            return Point::Infinity;
        }
        let inverse = self.field.invert(&point.z);
        let x = self.field.leave(&self.field.mul(&point.x, &inverse));
        let y = self.field.leave(&self.field.mul(&point.y, &inverse));
        Point::Affine { x, y }
    }

    /// The complete addition law (Renes, Costello, Batina 2016, algorithm 1).
    fn add_projective(&self, p: &Projective, q: &Projective) -> Projective {
        let f = &self.field;
        let mut t0 = f.mul(&p.x, &q.x);
        let mut t1 = f.mul(&p.y, &q.y);
        let mut t2 = f.mul(&p.z, &q.z);
        let t3 = f.mul(&f.add(&p.x, &p.y), &f.add(&q.x, &q.y));
        let t3 = f.sub(&t3, &f.add(&t0, &t1));
        let t4 = f.mul(&f.add(&p.x, &p.z), &f.add(&q.x, &q.z));
        let mut t4 = f.sub(&t4, &f.add(&t0, &t2));
        let t5 = f.mul(&f.add(&p.y, &p.z), &f.add(&q.y, &q.z));
        let t5 = f.sub(&t5, &f.add(&t1, &t2));
        let z3 = f.add(&f.mul(&self.b3_mont, &t2), &f.mul(&self.a_mont, &t4));
        let x3 = f.sub(&t1, &z3);
        let z3 = f.add(&t1, &z3);
        let y3 = f.mul(&x3, &z3);
        t1 = f.add(&f.add(&t0, &t0), &t0);
        t2 = f.mul(&self.a_mont, &t2);
        t4 = f.mul(&self.b3_mont, &t4);
        t1 = f.add(&t1, &t2);
        t2 = f.mul(&self.a_mont, &f.sub(&t0, &t2));
        t4 = f.add(&t4, &t2);
        t0 = f.mul(&t1, &t4);
        let y3 = f.add(&y3, &t0);
        t0 = f.mul(&t5, &t4);
        let x3 = f.sub(&f.mul(&t3, &x3), &t0);
        t0 = f.mul(&t3, &t1);
        let z3 = f.add(&f.mul(&t5, &z3), &t0);
        Projective { x: x3, y: y3, z: z3 }
    }

    /// The sum of two points.
    pub fn add(&self, p: &Point, q: &Point) -> Point {
        self.leave(&self.add_projective(&self.enter(p), &self.enter(q)))
    }

    /// `scalar · point`, with the same operations for every scalar below 2^(8·order bytes).
    pub fn multiply(&self, scalar: &BigUint, point: &Point) -> Point {
        let base = self.enter(point);
        let words = limbs(&(scalar % &self.n));
        let mut sum = self.enter(&Point::Infinity);
        for at in (0..self.order.n * 64).rev() {
            sum = self.add_projective(&sum, &sum);
            let with = self.add_projective(&sum, &base);
            let mask = (words[at / 64] >> (at % 64) & 1).wrapping_neg();
            for i in 0..LIMBS {
                sum.x[i] = (with.x[i] & mask) | (sum.x[i] & !mask);
                sum.y[i] = (with.y[i] & mask) | (sum.y[i] & !mask);
                sum.z[i] = (with.z[i] & mask) | (sum.z[i] & !mask);
            }
        }
        self.leave(&sum)
    }

    /// `u · G + v · point` on public data.
    fn joint_multiply(&self, u: &BigUint, v: &BigUint, point: &Point) -> Point {
        let g = self.enter(&self.generator);
        let q = self.enter(point);
        let both = self.add_projective(&g, &q);
        let mut sum = self.enter(&Point::Infinity);
        for at in (0..u.bits().max(v.bits())).rev() {
            sum = self.add_projective(&sum, &sum);
            match (u.bit(at), v.bit(at)) {
                (true, true) => sum = self.add_projective(&sum, &both),
                (true, false) => sum = self.add_projective(&sum, &g),
                (false, true) => sum = self.add_projective(&sum, &q),
                (false, false) => {}
            }
        }
        self.leave(&sum)
    }

    /// The leftmost bits of a digest as a number (FIPS 186-4 6.4).
    fn truncate(&self, digest: &[u8]) -> BigUint {
        let number = BigUint::from_bytes_be(digest);
        let excess = (digest.len() as u64 * 8).saturating_sub(self.n.bits());
        number >> excess
    }

    /// Whether (r, s) signs `digest` under `key` (ECDSA, FIPS 186-4 6.4).
    pub fn verify_ecdsa(&self, key: &Point, digest: &[u8], r: &BigUint, s: &BigUint) -> bool {
        let zero = BigUint::ZERO;
        if *key == Point::Infinity || *r == zero || *s == zero || *r >= self.n || *s >= self.n {
            return false;
        }
        let e = self.order.enter(&(self.truncate(digest) % &self.n));
        let w = self.order.invert(&self.order.enter(s));
        let u = self.order.leave(&self.order.mul(&e, &w));
        let v = self.order.leave(&self.order.mul(&self.order.enter(r), &w));
        match self.joint_multiply(&u, &v, key) {
            Point::Infinity => false,
            Point::Affine { x, .. } => x % &self.n == *r,
        }
    }

    /// Signs `digest` with the private `key` and the one-time secret `k`; `None` when `k`
    /// does not serve. For the chip simulator.
    pub fn sign_ecdsa(&self, key: &BigUint, digest: &[u8], k: &BigUint) -> Option<(BigUint, BigUint)> {
        let k = k % &self.n;
        let Point::Affine { x, .. } = self.multiply(&k, &self.generator) else { return None };
        let r = x % &self.n;
        let inverse = self.order.leave(&self.order.invert(&self.order.enter(&k)));
        let s = inverse * (self.truncate(digest) + &r * key) % &self.n;
        (r != BigUint::ZERO && s != BigUint::ZERO).then_some((r, s))
    }
}

/// A square root modulo an odd prime (Tonelli and Shanks), when there is one.
fn square_root(value: &BigUint, p: &BigUint) -> Option<BigUint> {
    let one = BigUint::from(1u8);
    let minus_one = p - 1u8;
    if *value == BigUint::ZERO {
        return Some(BigUint::ZERO);
    }
    let half = &minus_one >> 1u8;
    if value.modpow(&half, p) != one {
        return None;
    }
    let twos = minus_one.trailing_zeros().unwrap_or(0);
    let odd = &minus_one >> twos;
    let mut nonresidue = BigUint::from(2u8);
    while nonresidue.modpow(&half, p) == one {
        nonresidue += 1u8;
    }
    let mut m = twos;
    let mut c = nonresidue.modpow(&odd, p);
    let mut t = value.modpow(&odd, p);
    let mut root = value.modpow(&((&odd + 1u8) >> 1u8), p);
    while t != one {
        let mut order = 0;
        let mut power = t.clone();
        while power != one {
            power = &power * &power % p;
            order += 1;
            if order == m {
                return None;
            }
        }
        let mut b = c.clone();
        for _ in 0..m - order - 1 {
            b = &b * &b % p;
        }
        m = order;
        c = &b * &b % p;
        t = t * &c % p;
        root = root * b % p;
    }
    Some(root)
}

/// The number in exactly `size` bytes, most significant first; a larger number keeps its low bytes.
pub fn fixed(value: &BigUint, size: usize) -> Vec<u8> {
    let bytes = value.to_bytes_be();
    let mut out = vec![0; size.saturating_sub(bytes.len())];
    out.extend(bytes.iter().skip(bytes.len().saturating_sub(size)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_curve_is_consistent() {
        assert_eq!(curves().len(), 19);
        for curve in curves() {
            let Point::Affine { x, y } = &curve.generator else { panic!("a base point is not infinity") };
            assert!(curve.contains(x, y), "{}", curve.name);
            assert_eq!(
                curve.multiply(&(&curve.n - 1u8), &curve.generator),
                Point::Affine { x: x.clone(), y: &curve.p - y }
            );
            let negative = curve.multiply(&(&curve.n - 1u8), &curve.generator);
            assert_eq!(curve.add(&negative, &curve.generator), Point::Infinity, "{}", curve.name);
            let mut compressed = curve.encode_point(&curve.generator);
            compressed[0] = 2 + u8::from(y.bit(0));
            compressed.truncate(1 + curve.field_bytes());
            assert_eq!(curve.decode_point(&compressed).as_ref(), Some(&curve.generator));
        }
    }

    #[test]
    fn a_signature_verifies_and_any_change_breaks_it() {
        for curve in curves() {
            let key = BigUint::from(0x1234_5678_9abc_def1u64) * 77u8;
            let public = curve.multiply(&key, &curve.generator);
            let digest = [0xA5; 64];
            let (r, s) = curve.sign_ecdsa(&key, &digest, &BigUint::from(987_654_321u64)).expect("serves");
            assert!(curve.verify_ecdsa(&public, &digest, &r, &s), "{}", curve.name);
            assert!(!curve.verify_ecdsa(&public, &[0xA4; 64], &r, &s));
            assert!(!curve.verify_ecdsa(&public, &digest, &(&r + 1u8), &s));
            assert!(!curve.verify_ecdsa(&public, &digest, &r, &(&s + &curve.n)));
        }
    }

    /// FIPS 186-4 example as published in RFC 6979 A.2.5 (P-256, SHA-256, "sample").
    #[test]
    fn the_published_p256_signature_verifies() {
        let curve = by_name("P-256").expect("listed");
        let n = |h: &str| number(h).expect("hex");
        let key = Point::Affine {
            x: n("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"),
            y: n("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"),
        };
        let digest = crate::hash::Hash::Sha256.digest(b"sample");
        let r = n("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716");
        let s = n("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
        assert!(curve.verify_ecdsa(&key, &digest, &r, &s));
    }

    #[test]
    fn explicit_parameters_with_another_base_point_match_no_curve() {
        let curve = by_name("P-256").expect("listed");
        let other = curve.multiply(&BigUint::from(2u8), &curve.generator);
        let encode = |point: &Point| curve.encode_point(point);
        assert!(Curve::matching(&curve.p, &curve.a, &curve.b, &encode(&curve.generator), &curve.n).is_some());
        assert!(Curve::matching(&curve.p, &curve.a, &curve.b, &encode(&other), &curve.n).is_none());
    }
}
