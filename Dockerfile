# The package as a wheel, with the libraries of requirements.lock, run by a user without rights. Built from the repository's folder.
FROM python:3.11-slim-trixie AS build
RUN pip install --no-cache-dir "uv>=0.9"
COPY . /source
RUN uv build --wheel --out-dir /wheel /source \
    && python -m venv /opt/quimbi \
    && uv pip install --no-cache --python /opt/quimbi/bin/python --compile-bytecode \
        --constraint /source/requirements.lock /wheel/*.whl

FROM python:3.11-slim-trixie
# The commit that models are said to be made by: docker compose build --build-arg QUIMBI_GIT_COMMIT=$(git rev-parse HEAD)
ARG QUIMBI_GIT_COMMIT=""
COPY --from=build /opt/quimbi /opt/quimbi
RUN useradd --create-home --uid 1000 quimbi && install --directory --owner quimbi /home/quimbi/.quimbi
USER quimbi
WORKDIR /home/quimbi
ENV PATH=/opt/quimbi/bin:$PATH QUIMBI_HOME=/home/quimbi/.quimbi QUIMBI_GIT_COMMIT=$QUIMBI_GIT_COMMIT
CMD ["quimbi", "ui"]
