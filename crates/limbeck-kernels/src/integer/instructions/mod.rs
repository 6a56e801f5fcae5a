//! Vectors of 32-bit sums of bytes in the widest instruction set that the processor has.
//!
//! A kernel is written once, generic over [`Bytes`], and [`Level::run`] runs the copy of it that was
//! compiled for an instruction set. All of them compute the same integers.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod baseline;

use std::sync::OnceLock;

use baseline::Baseline;

/// Most lanes of a vector in any instruction set.
pub(super) const MOST_LANES: usize = 16;

/// What becomes of scaled sums when they are made bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// Added after rounding.
    pub zero_point: u8,
    /// Least byte.
    pub low: u8,
    /// Greatest byte.
    pub high: u8,
}

/// Scaled sums above it are taken for it: every one as large is the greatest byte anyway, and it can be
/// made an integer.
pub(super) const GREATEST: f32 = 65536.0;

/// Vectors of [`Bytes::LANES`] sums and what the kernels do with them.
///
/// # Safety of every method
/// The processor must have the instruction set of the implementing type, and every pointer must be valid
/// for [`Bytes::LANES`] of what it points to, but where another number is given; no alignment is needed.
pub(super) trait Bytes: Copy {
    /// 32-bit integers.
    type Sums: Copy;
    /// `f32`.
    type Numbers: Copy;
    /// Four unsigned bytes a lane, as [`Bytes::dot`] wants them.
    type Unsigned: Copy;
    /// Four signed bytes a lane, as [`Bytes::dot`] wants them.
    type Signed: Copy;
    /// Sums in a vector.
    const LANES: usize;
    /// Rows of two vectors that a tile holds: with the operands they must fit the register file.
    const ROWS: usize;

    unsafe fn load(from: *const i32) -> Self::Sums;
    unsafe fn keep(to: *mut i32, sums: Self::Sums);
    /// The same four bytes in every lane.
    unsafe fn repeated(from: *const u8) -> Self::Unsigned;
    /// Four bytes for each lane, lane after lane.
    unsafe fn signed(from: *const i8) -> Self::Signed;
    /// In each lane a byte of each row.
    unsafe fn interleaved(rows: [*const u8; 4]) -> Self::Unsigned;
    /// Adds the four products of each lane to its sum, without rounding or saturation.
    unsafe fn dot(sums: Self::Sums, a: Self::Unsigned, b: Self::Signed) -> Self::Sums;
    /// `sums · scale + offset`, sums, product and sum each rounded to `f32`.
    unsafe fn scaled(sums: Self::Sums, scale: *const f32, offset: *const f32) -> Self::Numbers;
    /// `numbers + (bytes − zero_point) · scale`, product and sum each rounded.
    unsafe fn add_bytes(
        numbers: Self::Numbers,
        bytes: *const u8,
        zero_point: i32,
        scale: f32,
    ) -> Self::Numbers;
    /// `numbers + more · scale`, product and sum each rounded.
    unsafe fn add_numbers(numbers: Self::Numbers, more: *const f32, scale: f32) -> Self::Numbers;
    /// Numbers divided by `scale`; 0 for what is none.
    unsafe fn divided(from: *const f32, scale: f32) -> Self::Numbers;
    unsafe fn store(to: *mut f32, numbers: Self::Numbers);
    /// Rounds to whole numbers, halves to even ones, adds the zero point and clamps; writes all lanes of
    /// the first vector, then of the others.
    unsafe fn store_bytes(to: *mut u8, vectors: [Self::Numbers; 4], range: Range);
}

/// Work that is compiled once per instruction set. Implementations must be `#[inline(always)]`, or the
/// instruction set of the caller does not reach them.
pub(super) trait Kernel {
    /// # Safety
    /// The processor must have the instruction set of `S`.
    unsafe fn run<S: Bytes>(self);
}

/// The instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Level {
    /// All of those that this processor has, the fastest last.
    pub fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let mut all = vec![Self::Baseline];
            if is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
                if is_x86_feature_detected!("avxvnni") {
                    all.push(Self::AvxVnni);
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                {
                    all.push(Self::Avx512Vnni);
                }
            }
            all
        }
        #[cfg(not(target_arch = "x86_64"))]
        vec![Self::Baseline]
    }

    /// The fastest that this processor has.
    pub fn fastest() -> Self {
        static FASTEST: OnceLock<Level> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::all().pop().unwrap_or(Self::Baseline))
    }

    /// Runs `kernel` in this instruction set, which must be one of [`Level::all`].
    #[inline(always)]
    pub fn run<K: Kernel>(self, kernel: K) {
        match self {
            // SAFETY: `all` has seen AVX-512 F, BW, VL and VNNI and AVX2 on this processor.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => unsafe { avx512::run(kernel) },
            // SAFETY: `all` has seen AVX-VNNI and AVX2 on this processor.
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => unsafe { avx2::run_vnni(kernel) },
            // SAFETY: `all` has seen AVX2 on this processor.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: the baseline is what the whole program was compiled for.
            Self::Baseline => unsafe { kernel.run::<Baseline>() },
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "AVX-VNNI",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            Self::Baseline => "baseline",
        }
    }
}
