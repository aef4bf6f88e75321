"""What is measured here. It needs pip install -e '.[dev]'; each command says more with --help.

    python -m benchmarks                        how fast, beside others and the machine's limit:
                                                docs/reference/performance.md
    python -m benchmarks.training_step          one training step, and what is waited for the disk
    python -m benchmarks.log_mel                the front end beside librosa's, on one core
    python -m benchmarks.transforms             other Fourier transforms, and a sparse filter bank
    python -m benchmarks.store_speed            random batches from a store
    python -m benchmarks.suite.limit            the rate of matrix products on this machine
    python -m benchmarks.suite.parts            what each part of a clip takes, on one core
    python -m benchmarks.decoders               FFmpeg beside libsndfile
    python -m benchmarks.one_network            one network fed through shared memory
    python -m benchmarks.suite.growth           what the engine takes for a unit of work
    python -m benchmarks.ids_to_store           from Million Song ids to a store
    python -m benchmarks.previews_simulation    the downloader against a simulated service
    python -m benchmarks.ledger_speed           the downloader's ledger
    python -m benchmarks.scale                  what breaks at ten and a hundred million songs:
                                                docs/explanation/scale.md
    python -m benchmarks.library_scan           a scan of some hundred songs
    python -m benchmarks.library_size           a library of many files
    python -m benchmarks.serving                the server under load
    python -m benchmarks.page_pictures          the pictures of the page in docs/pictures
    python -m benchmarks.install                how large an installation is, and wheels by system:
                                                docs/reference/install.md
    python -m benchmarks.runtimes               what runs the network: speed and accuracy
    python -m benchmarks.resamplers             soxr or FFmpeg, from one rate to another
    python -m benchmarks.openmp_waiting         how OpenMP's threads should wait while training
    python -m benchmarks.gpu_run                a whole training on a GPU, beside a plain one
    python -m benchmarks.browser_page           the page without a server: time and memory
    python -m benchmarks.library_page           the page of a large library
    python -m benchmarks.reliability            attacks, and whether earmark holds:
                                                docs/explanation/reliability.md
    python -m benchmarks.fuzzing                coverage-guided fuzzing of what reads others' bytes

How good the models are is measured in `studies`.
"""
