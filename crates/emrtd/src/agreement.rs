//! Key agreement over curves and prime fields, as PACE and chip authentication use it (BSI TR-03111 4.3).

use crate::cipher::{Entropy, random_below};
use crate::curve::{Curve, Point, fixed};
use crate::dh;
use crate::key::PublicKey;
use num_bigint::BigUint;

/// Where the keys live, with the generator in use (PACE maps it to another).
#[derive(Debug, Clone)]
pub enum Domain {
    /// A curve.
    Ec {
        /// The curve.
        curve: &'static Curve,
        /// The generator in use.
        generator: Point,
    },
    /// A prime field.
    Dh {
        /// The prime.
        p: BigUint,
        /// The order of the generator; p where it is unknown.
        q: BigUint,
        /// The generator in use.
        g: BigUint,
    },
}

/// A public value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Public {
    /// A point.
    Point(Point),
    /// A residue.
    Number(BigUint),
}

/// A key pair of one exchange.
#[derive(Clone)]
pub struct KeyPair {
    /// The secret scalar or exponent.
    pub secret: BigUint,
    /// The public value.
    pub public: Public,
}

impl Domain {
    /// The standardised domain of ICAO 9303-11 table 6.
    pub fn from_parameter_id(id: u32) -> Option<Self> {
        if let Some(curve) = crate::curve::by_parameter_id(id) {
            return Some(Self::of_curve(curve));
        }
        dh::by_parameter_id(id).map(|group| Domain::Dh {
            p: group.p.clone(),
            q: group.q.clone(),
            g: group.g.clone(),
        })
    }

    /// The domain of a curve with its own generator.
    pub fn of_curve(curve: &'static Curve) -> Self {
        Domain::Ec { curve, generator: curve.generator.clone() }
    }

    /// The domain of a chip's public key, with the key.
    pub fn of_key(key: &PublicKey) -> Option<(Self, Public)> {
        match key {
            PublicKey::Ec { curve, point, .. } => Some((Self::of_curve(curve), Public::Point(point.clone()))),
            PublicKey::Dh { p, g, y } => {
                let known = dh::groups().iter().find(|group| group.p == *p && group.g == *g);
                let q = known.map_or_else(|| p - 1u8, |group| group.q.clone());
                Some((Domain::Dh { p: p.clone(), q, g: g.clone() }, Public::Number(y.clone())))
            }
            PublicKey::Rsa(_) => None,
        }
    }

    /// Draws a key pair.
    pub fn generate(&self, entropy: &mut dyn Entropy) -> KeyPair {
        let order = match self {
            Domain::Ec { curve, .. } => &curve.n,
            Domain::Dh { q, .. } => q,
        };
        let secret = random_below(entropy, order);
        KeyPair { public: self.public_of(&secret), secret }
    }

    /// The public value of a secret.
    pub fn public_of(&self, secret: &BigUint) -> Public {
        match self {
            Domain::Ec { curve, generator } => Public::Point(curve.multiply(secret, generator)),
            Domain::Dh { p, g, .. } => Public::Number(g.modpow(secret, p)),
        }
    }

    /// The shared element; `None` when it is neutral or the public value is of another kind.
    pub fn agree(&self, secret: &BigUint, theirs: &Public) -> Option<Public> {
        match (self, theirs) {
            (Domain::Ec { curve, .. }, Public::Point(point)) => match curve.multiply(secret, point) {
                Point::Infinity => None,
                shared => Some(Public::Point(shared)),
            },
            (Domain::Dh { p, .. }, Public::Number(y)) => {
                let shared = y.modpow(secret, p);
                (shared > BigUint::from(1u8)).then_some(Public::Number(shared))
            }
            _ => None,
        }
    }

    /// The bytes that keys are derived from: the x coordinate, or the residue at full length.
    pub fn secret_bytes(&self, shared: &Public) -> Vec<u8> {
        match (self, shared) {
            (Domain::Ec { curve, .. }, Public::Point(Point::Affine { x, .. })) => {
                fixed(x, curve.field_bytes())
            }
            (Domain::Dh { p, .. }, Public::Number(n)) => {
                fixed(n, usize::try_from(p.bits().div_ceil(8)).unwrap_or(0))
            }
            _ => Vec::new(),
        }
    }

    /// Encodes a public value: an uncompressed point, or the residue without leading zeros.
    pub fn encode(&self, public: &Public) -> Vec<u8> {
        match (self, public) {
            (Domain::Ec { curve, .. }, Public::Point(point)) => curve.encode_point(point),
            (_, Public::Number(n)) => n.to_bytes_be(),
            _ => Vec::new(),
        }
    }

    /// Decodes a public value and checks that it belongs here: on the curve, or in the group.
    pub fn decode(&self, bytes: &[u8]) -> Option<Public> {
        match self {
            Domain::Ec { curve, .. } => curve.decode_point(bytes).map(Public::Point),
            Domain::Dh { p, q, .. } => {
                let y = BigUint::from_bytes_be(bytes);
                let one = BigUint::from(1u8);
                let in_range = y > one && y < p - 1u8;
                // where the order is known the value must lie in the subgroup
                let in_group = *q == p - 1u8 || (in_range && y.modpow(q, p) == one);
                (in_range && in_group).then_some(Public::Number(y))
            }
        }
    }

    /// The generic mapping (ICAO 9303-11 4.4.3.3.1): the generator s·G + H, or g^s · h.
    pub fn map_generic(&self, nonce: &[u8], shared: &Public) -> Option<Self> {
        let s = BigUint::from_bytes_be(nonce);
        match (self, shared) {
            (Domain::Ec { curve, generator }, Public::Point(h)) => {
                match curve.add(&curve.multiply(&s, generator), h) {
                    Point::Infinity => None,
                    generator => Some(Domain::Ec { curve, generator }),
                }
            }
            (Domain::Dh { p, q, g }, Public::Number(h)) => {
                let g = g.modpow(&s, p) * h % p;
                (g > BigUint::from(1u8)).then(|| Domain::Dh { p: p.clone(), q: q.clone(), g })
            }
            _ => None,
        }
    }

    /// The integrated mapping (4.4.3.3.2): the generator is a pseudo-random element of nonce and map nonce.
    pub fn map_integrated(
        &self,
        suite: crate::cipher::Suite,
        nonce: &[u8],
        map_nonce: &[u8],
    ) -> Option<Self> {
        match self {
            Domain::Ec { curve, .. } => {
                let t = pseudo_random(suite, nonce, map_nonce, &curve.p)?;
                let generator = encode_to_curve(curve, &t)?;
                Some(Domain::Ec { curve, generator })
            }
            Domain::Dh { p, q, .. } => {
                let t = pseudo_random(suite, nonce, map_nonce, p)?;
                let cofactor = (p - 1u8) / q;
                let g = t.modpow(&cofactor, p);
                (g > BigUint::from(1u8)).then(|| Domain::Dh { p: p.clone(), q: q.clone(), g })
            }
        }
    }
}

/// R_p(s, t) of ICAO 9303-11 4.4.3.3.2: CBC chaining over two public constants, reduced modulo p.
fn pseudo_random(suite: crate::cipher::Suite, s: &[u8], t: &[u8], p: &BigUint) -> Option<BigUint> {
    use crate::cipher::Suite;
    let (c0, c1) = match suite {
        Suite::Tdes | Suite::Aes128 => {
            ("a668892a7c41e3ca739f40b057d85904", "a4e136ac725f738b01c1f60217c188ad")
        }
        Suite::Aes192 | Suite::Aes256 => (
            "d463d65234124ef7897054986dca0a174e28df758cbaa03f240616414d5a1676",
            "54bd7255f0aaf831bec3423fcf39d69b6cbf066677d0faae5aadd99df8e53517",
        ),
    };
    let (c0, c1) = (hex::decode(c0).ok()?, hex::decode(c1).ok()?);
    let iv = vec![0; suite.block_size()];
    // the first key bytes of a longer block sequence serve AES-192
    let key_of = |bytes: &[u8]| bytes.get(..suite.key_size()).map(<[u8]>::to_vec);
    let mut key = suite.encrypt(&key_of(t)?, &iv, s)?;
    let mut out = Vec::new();
    let wanted = usize::try_from(p.bits()).ok()? + 64;
    while out.len() * 8 < wanted {
        let current = key_of(&key)?;
        out.extend(suite.encrypt(&current, &iv, &c1)?);
        key = suite.encrypt(&current, &iv, &c0)?;
    }
    Some(BigUint::from_bytes_be(&out) % p)
}

/// The point encoding for p ≡ 3 mod 4 of ICAO 9303-11 appendix B.2 (simplified Shallue, van de Woestijne, Ulas).
fn encode_to_curve(curve: &Curve, t: &BigUint) -> Option<Point> {
    let p = &curve.p;
    if !p.bit(0) || !p.bit(1) {
        return None;
    }
    let negate = |v: &BigUint| (p - v % p) % p;
    let inverse = |v: &BigUint| v.modpow(&(p - 2u8), p);
    let one = BigUint::from(1u8);
    let alpha = negate(&(t * t % p));
    let alpha2 = &alpha * &alpha % p;
    let sum = (&alpha + &alpha2) % p;
    // X2 = -b/a (1 + 1/(α + α²))
    let x2 = negate(&(&curve.b * inverse(&curve.a) % p)) * ((&one + inverse(&sum)) % p) % p;
    let x3 = &alpha * &x2 % p;
    let right = |x: &BigUint| (x * x * x + &curve.a * x + &curve.b) % p;
    let h2 = right(&x2);
    let u = t * t * t * &h2 % p;
    let exponent = p - &one - ((p + &one) >> 2u8);
    let root = h2.modpow(&exponent, p);
    let (x, y) = if &root * &root % p * &h2 % p == one { (x2, root * h2 % p) } else { (x3, root * u % p) };
    curve.contains(&x, &y).then_some(Point::Affine { x, y })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ICAO 9303-11 appendix H.1 (ECDH, integrated mapping, brainpoolP256r1, AES-128).
    #[test]
    fn the_integrated_mapping_of_the_worked_example_is_reproduced() {
        let h = |text: &str| hex::decode(text).expect("hex");
        let curve = crate::curve::by_name("brainpoolP256r1").expect("listed");
        let (s, t) = (h("2923BE84E16CD6AE529049F1F1BBE9EB"), h("5DD4CBFC96F5453B130D890A1CDBAE32"));
        let value = pseudo_random(crate::cipher::Suite::Aes128, &s, &t, &curve.p).expect("fits");
        assert_eq!(
            hex::encode_upper(value.to_bytes_be()),
            "A2F8FF2DF50E52C6599F386ADCB595D229F6A167ADE2BE5F2C3296ADD5B7430E"
        );
        let Some(Point::Affine { x, y }) = encode_to_curve(curve, &value) else { panic!("maps") };
        assert_eq!(
            hex::encode_upper(x.to_bytes_be()),
            "8E82D31559ED0FDE92A4D0498ADD3C23BABA94FB77691E31E90AEA77FB17D427"
        );
        assert_eq!(
            hex::encode_upper(y.to_bytes_be()),
            "4C1AE14BD0C3DBAC0C871B7F3608169364437CA30AC243A089D3F266C1E60FAD"
        );
    }
}
