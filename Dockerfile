# Web, worker and beat are the same image; the command says which: see docker-compose.yml.

FROM python:3.13-slim AS build
RUN python -m venv /venv
WORKDIR /src
COPY pyproject.toml README.md ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data HOST=0.0.0.0 PORT=8000
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin stillwater && install -d -o stillwater /data
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY chatapp chatapp
COPY conversations conversations
COPY templates templates
COPY static static
COPY locale locale
USER stillwater
# The key of this one command signs nothing; the real one comes from the environment of the container.
RUN SECRET_KEY=only-for-collecting-static-files-while-building python manage.py collectstatic --no-input --verbosity 0
EXPOSE 8000
CMD ["python", "manage.py", "serve"]
