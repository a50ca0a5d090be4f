"""The papers and programs behind each step."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Reference:
    """One publication."""

    key: str
    """How the text calls it."""
    authors: str
    """As BibTeX has them: ``Family, Given and Family, Given``."""
    title: str
    venue: str
    """Journal, proceedings or publisher."""
    year: int
    doi: str = ""
    """Empty: it has none."""

    @property
    def link(self) -> str:
        """Where it is found; empty without a DOI."""
        return f"https://doi.org/{quote(self.doi, safe='/:;')}" if self.doi else ""

    @property
    def markdown(self) -> str:
        """One line of a list of references."""
        names = [name.split(", ")[0] for name in self.authors.split(" and ")]
        others = names[-1] == "others"
        names = names[:-1] if others else names
        few = " and ".join(", ".join(names).rsplit(", ", 1))
        listed = f"{names[0]} et al." if others or len(names) > 3 else few
        link = f" <{self.link}>" if self.link else ""
        return f"{listed} ({self.year}). {self.title}. *{self.venue}*.{link}"

    @property
    def bibtex(self) -> str:
        """One entry of a BibTeX file."""
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            "journal": self.venue,
            "year": str(self.year),
        }
        if self.doi:
            fields["doi"] = self.doi
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@article{{{self.key},\n{body}\n}}\n"


_ALL = (
    Reference(
        "golbabaee2026", "Golbabaee, Mohammad and Cencini, Matteo and Pirkl, Carolin and Menzel, "
        "Marion and Tosetti, Michela and Menze, Bjoern",
        "MRI2Qmap: multi-parametric quantitative mapping with MRI-driven denoising priors",
        "arXiv:2603.11316", 2026, "10.48550/arXiv.2603.11316",
    ),
    Reference(
        "ma2013", "Ma, Dan and Gulani, Vikas and Seiberlich, Nicole and Liu, Kecheng and Sunshine, "
        "Jeffrey L. and Duerk, Jeffrey L. and Griswold, Mark A.",
        "Magnetic resonance fingerprinting", "Nature", 2013, "10.1038/nature11971",
    ),
    Reference(
        "kiefer1953", "Kiefer, J.", "Sequential minimax search for a maximum",
        "Proceedings of the American Mathematical Society", 1953, "10.1090/S0002-9939-1953-0055639-3",
    ),
    Reference(
        "rousseeuw1984", "Rousseeuw, Peter J.", "Least median of squares regression",
        "Journal of the American Statistical Association", 1984, "10.1080/01621459.1984.10477105",
    ),
    Reference(
        "mattes2003", "Mattes, David and Haynor, David R. and Vesselle, Hubert and Lewellen, Thomas K. and "
        "Eubank, William",
        "PET-CT image registration in the chest using free-form deformations",
        "IEEE Transactions on Medical Imaging", 2003, "10.1109/TMI.2003.809072",
    ),
    Reference(
        "lowekamp2013", "Lowekamp, Bradley C. and Chen, David T. and Ibanez, Luis and Blezek, Daniel",
        "The design of SimpleITK", "Frontiers in Neuroinformatics", 2013, "10.3389/fninf.2013.00045",
    ),
    Reference(
        "tibshirani1987", "Tibshirani, Robert and Hastie, Trevor", "Local likelihood estimation",
        "Journal of the American Statistical Association", 1987, "10.1080/01621459.1987.10478466",
    ),
    Reference(
        "jiang2015", "Jiang, Yun and Ma, Dan and Seiberlich, Nicole and Gulani, Vikas and "
        "Griswold, Mark A.",
        "MR fingerprinting using fast imaging with steady state precession (FISP) with spiral "
        "readout", "Magnetic Resonance in Medicine", 2015, "10.1002/mrm.25559",
    ),
    Reference(
        "weigel2015", "Weigel, Matthias",
        "Extended phase graphs: dephasing, RF pulses, and echoes - pure and simple",
        "Journal of Magnetic Resonance Imaging", 2015, "10.1002/jmri.24619",
    ),
    Reference(
        "mcgivney2014", "McGivney, Debra F. and others",
        "SVD compression for magnetic resonance fingerprinting in the time domain",
        "IEEE Transactions on Medical Imaging", 2014, "10.1109/TMI.2014.2337321",
    ),
    Reference(
        "pruessmann2001", "Pruessmann, Klaas P. and Weiger, Markus and Boernert, Peter and "
        "Boesiger, Peter",
        "Advances in sensitivity encoding with arbitrary k-space trajectories",
        "Magnetic Resonance in Medicine", 2001, "10.1002/mrm.1241",
    ),
    Reference(
        "huang2008", "Huang, Feng and others",
        "A software channel compression technique for faster reconstruction with many channels",
        "Magnetic Resonance Imaging", 2008, "10.1016/j.mri.2007.04.010",
    ),
    Reference(
        "uecker2014", "Uecker, Martin and others",
        "ESPIRiT - an eigenvalue approach to autocalibrating parallel MRI: where SENSE meets GRAPPA",
        "Magnetic Resonance in Medicine", 2014, "10.1002/mrm.24751",
    ),
    Reference(
        "sutton2003", "Sutton, Bradley P. and Noll, Douglas C. and Fessler, Jeffrey A.",
        "Fast, iterative image reconstruction for MRI in the presence of field inhomogeneities",
        "IEEE Transactions on Medical Imaging", 2003, "10.1109/TMI.2002.808360",
    ),
    Reference(
        "barnett2019", "Barnett, Alexander H. and Magland, Jeremy and af Klinteberg, Ludvig",
        "A parallel nonuniform fast Fourier transform library based on an \"exponential of "
        "semicircle\" kernel", "SIAM Journal on Scientific Computing", 2019, "10.1137/18M120885X",
    ),
    Reference(
        "pipe1999", "Pipe, James G. and Menon, Padmanabhan",
        "Sampling density compensation in MRI: rationale and an iterative numerical solution",
        "Magnetic Resonance in Medicine", 1999,
        "10.1002/(SICI)1522-2594(199901)41:1<179::AID-MRM25>3.0.CO;2-V",
    ),
    Reference(
        "hestenes1952", "Hestenes, Magnus R. and Stiefel, Eduard",
        "Methods of conjugate gradients for solving linear systems",
        "Journal of Research of the National Bureau of Standards", 1952, "10.6028/jres.049.044",
    ),
    Reference(
        "chan1988", "Chan, Tony F.",
        "An optimal circulant preconditioner for Toeplitz systems",
        "SIAM Journal on Scientific and Statistical Computing", 1988, "10.1137/0909051",
    ),
    Reference(
        "aitken1936", "Aitken, Alexander C.",
        "On least squares and linear combination of observations",
        "Proceedings of the Royal Society of Edinburgh", 1936, "10.1017/S0370164600014346",
    ),
    Reference(
        "bresson2008", "Bresson, Xavier and Chan, Tony F.",
        "Fast dual minimization of the vectorial total variation norm and applications to color image processing",
        "Inverse Problems and Imaging", 2008, "10.3934/ipi.2008.2.455",
    ),
    Reference(
        "candes2008", "Candes, Emmanuel J. and Wakin, Michael B. and Boyd, Stephen P.",
        "Enhancing sparsity by reweighted l1 minimization",
        "Journal of Fourier Analysis and Applications", 2008, "10.1007/s00041-008-9045-x",
    ),
    Reference(
        "chang2000", "Chang, S. Grace and Yu, Bin and Vetterli, Martin",
        "Adaptive wavelet thresholding for image denoising and compression",
        "IEEE Transactions on Image Processing", 2000, "10.1109/83.862633",
    ),
    Reference(
        "ruderman1997", "Ruderman, Daniel L.", "Origins of scaling in natural images",
        "Vision Research", 1997, "10.1016/S0042-6989(97)00008-4",
    ),
    Reference(
        "rudin1992", "Rudin, Leonid I. and Osher, Stanley and Fatemi, Emad",
        "Nonlinear total variation based noise removal algorithms",
        "Physica D: Nonlinear Phenomena", 1992, "10.1016/0167-2789(92)90242-F",
    ),
    Reference(
        "boyd2011", "Boyd, Stephen and Parikh, Neal and Chu, Eric and Peleato, Borja and "
        "Eckstein, Jonathan",
        "Distributed optimization and statistical learning via the alternating direction method of "
        "multipliers", "Foundations and Trends in Machine Learning", 2011, "10.1561/2200000016",
    ),
    Reference(
        "papandreou2011", "Papandreou, George and Yuille, Alan L.",
        "Perturb-and-MAP random fields: using discrete optimization to learn and sample from energy "
        "models", "IEEE ICCV", 2011, "10.1109/ICCV.2011.6126242",
    ),
    Reference(
        "zhang2015", "Zhang, Tao and Pauly, John M. and Levesque, Ives R.",
        "Accelerating parameter mapping with a locally low rank constraint",
        "Magnetic Resonance in Medicine", 2015, "10.1002/mrm.25161",
    ),
    Reference(
        "venkatakrishnan2013", "Venkatakrishnan, Singanallur V. and Bouman, Charles A. and "
        "Wohlberg, Brendt",
        "Plug-and-play priors for model based reconstruction", "IEEE GlobalSIP", 2013,
        "10.1109/GlobalSIP.2013.6737048",
    ),
    Reference(
        "zhang2022", "Zhang, Kai and others",
        "Plug-and-play image restoration with deep denoiser prior",
        "IEEE Transactions on Pattern Analysis and Machine Intelligence", 2022,
        "10.1109/TPAMI.2021.3088914",
    ),
    Reference(
        "fatania2022", "Fatania, Ketan and others",
        "A plug-and-play approach to multiparametric quantitative MRI: image reconstruction using "
        "pre-trained deep denoisers", "IEEE ISBI", 2022, "10.1109/ISBI52829.2022.9761603",
    ),
    Reference(
        "robson2008", "Robson, Philip M. and others",
        "Comprehensive quantification of signal-to-noise ratio and g-factor for image-based and "
        "k-space-based parallel imaging reconstructions", "Magnetic Resonance in Medicine", 2008,
        "10.1002/mrm.21728",
    ),
    Reference(
        "zhao2019", "Zhao, Bo and others",
        "Optimal experiment design for magnetic resonance fingerprinting: Cramer-Rao bound meets "
        "spin dynamics", "IEEE Transactions on Medical Imaging", 2019, "10.1109/TMI.2018.2873704",
    ),
    Reference(
        "otsu1979", "Otsu, Nobuyuki", "A threshold selection method from gray-level histograms",
        "IEEE Transactions on Systems, Man, and Cybernetics", 1979, "10.1109/TSMC.1979.4310076",
    ),
    Reference(
        "tomasi1998", "Tomasi, Carlo and Manduchi, Roberto",
        "Bilateral filtering for gray and color images", "IEEE ICCV", 1998,
        "10.1109/ICCV.1998.710815",
    ),
    Reference(
        "inati2017", "Inati, Souheil J. and others",
        "ISMRM raw data format: a proposed standard for MRI raw datasets",
        "Magnetic Resonance in Medicine", 2017, "10.1002/mrm.26089",
    ),
    Reference(
        "gorgolewski2016", "Gorgolewski, Krzysztof J. and others",
        "The brain imaging data structure, a format for organizing and describing outputs of "
        "neuroimaging experiments", "Scientific Data", 2016, "10.1038/sdata.2016.44",
    ),
    Reference(
        "gorgolewski2017", "Gorgolewski, Krzysztof J. and others",
        "BIDS apps: improving ease of use, accessibility, and reproducibility of neuroimaging data "
        "analysis methods", "PLOS Computational Biology", 2017, "10.1371/journal.pcbi.1005209",
    ),
    Reference(
        "gorgolewski2011", "Gorgolewski, Krzysztof and others",
        "Nipype: a flexible, lightweight and extensible neuroimaging data processing framework in "
        "Python", "Frontiers in Neuroinformatics", 2011, "10.3389/fninf.2011.00013",
    ),
    Reference(
        "paszke2019", "Paszke, Adam and others",
        "PyTorch: an imperative style, high-performance deep learning library",
        "Advances in Neural Information Processing Systems", 2019,
    ),
)  # fmt: skip

REFERENCES = {reference.key: reference for reference in _ALL}
"""By key."""


def to_bibtex(references: Iterable[Reference]) -> str:
    """A BibTeX file."""
    return "\n".join(reference.bibtex for reference in references)
