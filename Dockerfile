# The program with everything it needs; nothing is fetched when it runs.
#   docker build -t mri2qmap .                                        runs on GPUs and on CPUs
#   docker build -t mri2qmap --build-arg DEVICE=cpu \
#     --build-arg PIP_EXTRA_INDEX_URL=<index of torch's CPU wheels> . a fraction of the size
# Settings of pip (mirrors, certificates) may be handed in: --secret id=pip_conf,src=pip.conf
ARG BASE_IMAGE=debian:bookworm-slim

# ---- Third-party packages: remade only when their versions change.
FROM ${BASE_IMAGE} AS packages
# Debian's packages are as old as the base image; a version pinned here would soon not be had.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3-venv \
 && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/venv/bin:$PATH
RUN python3 -m venv /opt/venv
COPY pyproject.toml constraints.txt /build/
ARG DEVICE=cuda
ARG PIP_EXTRA_INDEX_URL
# torch's wheel without a local version (===) brings CUDA along, the one with +cpu does not.
# hadolint ignore=DL3013
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    set -eu; \
    version=$(sed -n 's/^torch==//p' /build/constraints.txt); \
    case "$DEVICE" in \
      cpu) torch="torch==$version+cpu"; extras="siemens" ;; \
      cuda) torch="torch===$version"; extras="siemens gpu" ;; \
      *) echo "DEVICE must be cpu or cuda, got $DEVICE" >&2; exit 2 ;; \
    esac; \
    pip install "$torch"; \
    python3 -c 'import sys, tomllib; p = tomllib.load(open("/build/pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *(r for e in sys.argv[1].split() for r in p["optional-dependencies"][e]), sep="\n")' \
      "$extras" > /build/requirements.txt; \
    pip install -c /build/constraints.txt -r /build/requirements.txt; \
    rm -rf /opt/venv/lib/python3*/site-packages/torch/include /opt/venv/lib/python3*/site-packages/torch/test

# ---- The program itself.
FROM packages AS wheel
COPY LICENSE MANIFEST.in README.md /build/
COPY mri2qmap_bids /build/mri2qmap_bids
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    pip wheel --no-deps --wheel-dir /dist /build

# ---- What is shipped.
FROM ${BASE_IMAGE}
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH LANG=C.UTF-8 \
    MPLBACKEND=Agg NO_ET=1 NIPYPE_NO_ET=1 PYTHONNOUSERSITE=1 \
    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=wheel /dist /opt/dist
# -I: a PYTHONPATH or a user's packages, which Apptainer lets in, must not replace the image's.
RUN pip install --no-cache-dir --no-index --no-deps /opt/dist/*.whl \
 && sed -i '1s/$/ -I/' /opt/venv/bin/mri2qmap /opt/venv/bin/mri2qmap-tools \
 && mkdir -m 1777 /work \
 && mri2qmap --version
# Writable for everyone even if the root file system is read-only and nothing is mounted there.
VOLUME /work
WORKDIR /work
# tini: the first process of a container would ignore the signal that ends it.
ENTRYPOINT ["tini", "-g", "--", "mri2qmap"]
CMD ["--help"]
ARG BASE_IMAGE=debian:bookworm-slim
ARG VERSION=0.2.0.dev0
ARG REVISION=unknown
# Written into dataset_description.json.
ENV MRI2QMAP_IMAGE=mri2qmap:${VERSION}
LABEL org.opencontainers.image.title="mri2qmap_bids" \
      org.opencontainers.image.description="BIDS-App: MR Fingerprinting k-space to T1, T2 and M0 maps" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
