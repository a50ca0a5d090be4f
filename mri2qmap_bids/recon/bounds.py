"""Bounds of the quantities of a scan: a value outside them is impossible in the unit demanded.

Bounds are wide enough for every scanner (0.05 T to 20 T), animal and phantom, and as close as they can be
to the values that a quantity would have in the unit it is mistaken for.
"""

import math

from mri2qmap_bids.recon.bound import Bound
from mri2qmap_bids.recon.units import ANGLES, FIELDS, LENGTHS, RATIOS, TIMES

FLIP_ANGLE = Bound(
    "FlipAngle",
    "deg",
    math.radians(3.2),
    math.radians(180.0),
    ANGLES,
    "no excitation is above 180 deg; a list in rad has no value above pi = 3.14, and a train below that would "
    "encode neither T1 nor T2",
    of="largest",
)
REPETITION_TIME = Bound(
    "RepetitionTimeExcitation",
    "s",
    0.5e-3,
    10.0,
    TIMES,
    "excitation, encoding and readout take at least 0.5 ms; a pause within a train is at most 10 s",
)
TYPICAL_REPETITION_TIME = Bound(
    "RepetitionTimeExcitation",
    "s",
    0.5e-3,
    1.0,
    TIMES,
    "a train of pulses a second apart is no fingerprint; the shortest in ms is above 1",
    of="middle",
)
ECHO_TIME = Bound(
    "EchoTime",
    "s",
    8e-6,
    0.5,
    TIMES,
    "coils need 8 us from transmission to reception; always below RepetitionTimeExcitation",
    zero=True,
)
INVERSION_TIME = Bound(
    "InversionTime",
    "s",
    0.5e-3,
    4.0,
    TIMES,
    "an adiabatic pulse lasts milliseconds; after 4 s the longest T1 (5 s) has passed its zero",
    zero=True,
)
INVERSION_EFFICIENCY = Bound(
    "InversionEfficiency", "1", 0.0, 1.0, RATIOS, "0 saturates, 1 inverts completely"
)
RF_PHASE = Bound(
    "RFPhase",
    "deg",
    math.radians(6.284),
    math.radians(1e10),
    ANGLES,
    "wrapped phases in rad are at most 2 pi = 6.28; above 1e10 deg their fraction is lost in rounding",
    of="largest",
    zero=True,
)
PREPARATION_PAUSE = Bound(
    "RepetitionTimePreparation minus the duration of a shot",
    "s",
    0.0,
    60.0,
    TIMES,
    "the next inversion comes after the last repetition; 60 s are 12 times the longest T1",
)
SLICE_PROFILE = Bound(
    "SliceProfile",
    "1",
    0.0,
    3.0,
    RATIOS,
    "factors of the nominal flip angle; no pulse overshoots it threefold",
)
SLICE_PROFILE_PEAK = Bound(
    "SliceProfile",
    "1",
    0.1,
    3.0,
    RATIOS,
    "somewhere in the slice the flip angle is about the nominal one",
    of="largest",
)
FIELD_STRENGTH = Bound(
    "MagneticFieldStrength",
    "T",
    5e-3,
    30.0,
    FIELDS,
    "from ultra-low field to the strongest magnets for animals",
)
B1_MIDDLE = Bound(
    "TB1map",
    "%",
    0.3,
    2.0,
    RATIOS,
    "at no field strength is the transmit field of half a head further from nominal",
    of="middle",
)
OFF_RESONANCE = Bound(
    "fieldmap",
    "Hz",
    -5e3,
    5e3,
    {"Hz": 1.0},
    "at 7 T air beside tissue shifts the frequency by less than 3 kHz",
)
FIELD_OF_VIEW = Bound(
    "fieldOfView_mm x, y",
    "mm",
    3e-3,
    1.5,
    LENGTHS,
    "from 3 mm (microscopy) to three times the 0.5 m that a magnet can image",
)
SLAB = Bound(
    "fieldOfView_mm z",
    "mm",
    0.1e-3,
    1.5,
    LENGTHS,
    "the thinnest slice is 0.1 mm thick, the longest slab 1.5 m long",
)
LEAST_MATRIX = 5
"""Along an axis that is transformed: twice as many points must hold the kernel of the density compensation."""
MATRIX = Bound(
    "matrixSize x, y",
    "1",
    4.0,
    4096.0,
    {"1": 1.0},
    "below 4 there is no image, above 4096 no scanner",
)
PARTITIONS = Bound("matrixSize z", "1", 1.0, 4096.0, {"1": 1.0}, "one slice, up to a volume")
VOXEL_SIZE = Bound(
    "voxel size x, y (field of view / matrix)",
    "mm",
    0.02e-3,
    0.1,
    LENGTHS,
    "from 0.02 mm (microscopy) to 100 mm",
)
POSITION = Bound(
    "position",
    "mm",
    0.0,
    2.0,
    LENGTHS,
    "no table moves the centre of a scan further than 2 m from the isocentre",
    of="largest",
)
SLICE_SPACING = Bound(
    "distance between slices / thickness",
    "1",
    0.25,
    9.0,
    {"1": 1.0},
    "slices neither overlap by three quarters nor lie 9 times their thickness apart",
)
TRAJECTORY_SHARE = Bound(
    "trajectory: share of k-space (of the product over all axes)",
    "1",
    0.1,
    1.0,
    {"1": 1.0},
    "the encoded matrix says how far k-space was sampled",
)
TRAJECTORY_EXTENT = Bound(
    "trajectory: largest position / edge of k-space, every axis",
    "1",
    0.0,
    1.2,
    {"1": 1.0},
    "gradients overshoot a little; up to 2 with a warning if the unit is named",
)
TRAJECTORY_RATIO = Bound(
    "trajectory: extent of an axis / that of the widest axis",
    "1",
    0.6,
    1.0,
    {"1": 1.0},
    "else one axis has another unit, or the encoded matrix is not that of the samples",
)
TRAJECTORY_ENERGY = Bound(
    "trajectory: mean of k² weighted with the signal / mean of k²",
    "1",
    0.0,
    1.5,
    {"1": 1.0},
    "the energy of an image lies at the centre of k-space; noise alone has 1",
)

# Of pulse sequences that are made of events: every value on its own.
PULSE_ANGLE = Bound(
    "FlipAngle, RefocusingAngle of one pulse",
    "deg",
    0.0,
    2 * math.pi,
    ANGLES,
    "types made of events may have pulses of 0; none turns further than once",
)
PULSE_PHASE = Bound(
    "RFPhase of one pulse", "deg", -1e6, 1e6, ANGLES, "beyond 1e6 rad its fraction is lost"
)
PHASE_INCREMENT = Bound(
    "SpoilingRFPhaseIncrement",
    "deg",
    -2 * math.pi,
    2 * math.pi,
    ANGLES,
    "an increment by more than a turn is one within a turn",
)
GRADIENT_ECHO_REPETITION = Bound(
    "RepetitionTimeExcitation of gradient echoes made of events",
    "s",
    1e-4,
    1.0,
    TIMES,
    "gradient echoes repeat within a second",
)
SPIN_ECHO_REPETITION = Bound(
    "RepetitionTimeExcitation of spin echoes",
    "s",
    1e-4,
    30.0,
    TIMES,
    "30 s are 6 times the longest T1",
)
EVENT_ECHO_TIME = Bound(
    "EchoTime of types made of events", "s", 0.0, 1.0, TIMES, "all echoes come within a second"
)
EVENT_INVERSION_TIME = Bound(
    "InversionTime of types made of events",
    "s",
    0.0,
    20.0,
    TIMES,
    "20 s are 4 times the longest T1",
)
T2_PREPARATION_TIME = Bound(
    "T2PreparationTime", "s", 0.0, 1.0, TIMES, "after a second only fluids have signal"
)
RECOVERY_TIME = Bound("RecoveryTime", "s", 0.0, 30.0, TIMES, "30 s are 6 times the longest T1")
SHOT_TIME = Bound(
    "RepetitionTimePreparation of types made of events",
    "s",
    0.0,
    600.0,
    TIMES,
    "a shot lasts minutes at most",
)
DELAY = Bound("Duration of a Delay", "s", 0.0, 60.0, TIMES, "60 s are 12 times the longest T1")
SPOILING_CYCLES = Bound(
    "SpoilingCycles", "1", 0.0, 16.0, {"1": 1.0}, "more are refused as a probable mistake"
)
DUMMIES = Bound(
    "NumberDummies", "1", 0.0, 100.0, {"1": 1.0}, "the steady state is reached in fewer"
)

BOUNDS = (
    FLIP_ANGLE,
    TYPICAL_REPETITION_TIME,
    REPETITION_TIME,
    ECHO_TIME,
    RF_PHASE,
    INVERSION_TIME,
    INVERSION_EFFICIENCY,
    PREPARATION_PAUSE,
    SLICE_PROFILE,
    SLICE_PROFILE_PEAK,
    FIELD_STRENGTH,
    B1_MIDDLE,
    OFF_RESONANCE,
    MATRIX,
    PARTITIONS,
    FIELD_OF_VIEW,
    SLAB,
    VOXEL_SIZE,
    POSITION,
    SLICE_SPACING,
    TRAJECTORY_SHARE,
    TRAJECTORY_EXTENT,
    TRAJECTORY_RATIO,
    TRAJECTORY_ENERGY,
    PULSE_ANGLE,
    PULSE_PHASE,
    PHASE_INCREMENT,
    GRADIENT_ECHO_REPETITION,
    SPIN_ECHO_REPETITION,
    EVENT_ECHO_TIME,
    EVENT_INVERSION_TIME,
    T2_PREPARATION_TIME,
    RECOVERY_TIME,
    SHOT_TIME,
    DELAY,
    SPOILING_CYCLES,
    DUMMIES,
)
"""Bounds of the input, in the order of the documentation."""
