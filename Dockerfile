# The image of Trunkline: the program, the runtime libraries it is linked with, root certificates, and nothing else.
#
#   docker build -t trunkline .
#   docker build -t trunkline --build-arg TRUNKLINE_COMMIT="$(git rev-parse HEAD)" \
#     --build-arg TRUNKLINE_COMMIT_EPOCH_S="$(git log -1 --format=%ct)" .

# As in rust-toolchain.toml, which is left out of the build lest rustup fetch the parts that only tests need.
ARG RUST_VERSION=1.95.0

FROM rust:${RUST_VERSION}-slim-bookworm AS build
# librdkafka, zstd, SQLite, aws-lc and OpenSSL are built from bundled source.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# The dependencies are a layer of their own: they take minutes and change seldom. Cargo wants some source to build.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && touch src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked \
    && rm -r src

COPY build.rs ./
COPY schemas schemas
COPY src src
# After the dependencies, so that another commit does not build them anew. (SOURCE_DATE_EPOCH would: some read it.)
ARG TRUNKLINE_COMMIT=""
ARG TRUNKLINE_COMMIT_EPOCH_S=""
# Copied files may be older than the empty ones were, and cargo goes by their times.
RUN touch build.rs src/lib.rs src/main.rs \
    && cargo build --release --locked \
    && strip target/release/trunkline \
    && mkdir -p /rootfs/var/lib/trunkline/spool \
    && chmod 700 /rootfs/var/lib/trunkline/spool

# The smallest that works: glibc and libgcc, which the program is linked with, root certificates and a user who is not
# root. Debian's slim image would add a shell, a package manager and some 50 MB.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG TRUNKLINE_COMMIT=""
LABEL org.opencontainers.image.title="trunkline" \
      org.opencontainers.image.description="Receives telephony providers' webhooks, verifies and normalises them, and publishes them to Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${TRUNKLINE_COMMIT}"
COPY --from=build /src/target/release/trunkline /usr/local/bin/trunkline
# A volume that is mounted here for the first time takes over this owner, the image's nonroot user.
COPY --from=build --chown=65532:65532 /rootfs/var/lib/trunkline /var/lib/trunkline
ENV TRUNKLINE_CONFIG=/etc/trunkline/trunkline.toml
# Where the user may not write: a spool.dir that is relative by mistake fails at the start, rather than being lost with
# the container.
WORKDIR /
USER 65532:65532
VOLUME /var/lib/trunkline/spool
EXPOSE 8080 9100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=3 CMD ["/usr/local/bin/trunkline", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/trunkline"]
CMD ["serve"]
