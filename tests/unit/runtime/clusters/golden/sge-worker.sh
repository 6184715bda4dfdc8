#!/usr/bin/env bash

#$ -N blockseg
#$ -l h_vmem=4G
#$ -l h_rt=12:00:00
#$ -cwd
#$ -j y
#$ -l gpu=1
#$ -pe smp 8

python -m distributed.cli.dask_worker tls://SCHEDULER:8786 --name WORKER --nthreads 2 --memory-limit 29.80GiB --nanny --death-timeout 120 --no-dashboard --lifetime 42600s --lifetime-stagger 300s --resources GPU=1
