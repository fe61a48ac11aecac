"""scripts/eks-*.sh: the AWS command line is real and talks to moto; terraform, kubectl and docker only write down
how they were called, since no cluster answers here."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import boto3
import moto.server

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = "podsense-eks-cluster"
REGION = "ap-southeast-2"
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >>"$RECORD"
case "$*" in
  *--password-stdin*) cat >/dev/null ;;
  *"output -json install"*) [ -z "$NO_OUTPUTS" ] && echo '{}' ;;
  *"output -raw image_repository"*) echo registry.example.com/podsense ;;
  *"output -raw url_command"*) echo "${URL_COMMAND-echo http://balancer.example.com}" ;;
  *"get crd nodepools.karpenter.sh"*) [ -z "$NODEPOOLS" ] || echo "$NODEPOOLS" ;;
  *"get service -A"*) echo "traefik traefik" ;;
esac
"""


class ScriptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = moto.server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        cls.server.start()
        host, port = cls.server.get_host_and_port()
        cls.endpoint = f"http://{host}:{port}"
        os.environ.update(
            AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION=REGION,
            AWS_ENDPOINT_URL=cls.endpoint,
        )  # fmt: skip

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.record = self.scratch / "record"
        self.record.touch()
        # The scripts write beside infra/install: they get a tree of their own.
        for folder in ["scripts", "infra"]:
            shutil.copytree(ROOT / folder, self.scratch / "tree" / folder, ignore=shutil.ignore_patterns(".terraform", "*.auto.*"))
        binaries = self.scratch / "bin"
        binaries.mkdir()
        for tool in ["terraform", "kubectl", "helm", "docker", "curl"]:
            path = binaries / tool
            path.write_text(RECORDER)
            path.chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "BUILD_QUIET"},
            "PATH": f"{binaries}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.scratch),
            "KUBECONFIG": str(self.scratch / "kubeconfig"),
            "RECORD": str(self.record),
            "EKS_DEPLOY_STATE": str(self.scratch / "state"),
            "NODEPOOLS": "",
            "NO_OUTPUTS": "",
            "EKS_DEPLOY_TRIES": "1",
            "EKS_DEPLOY_PAUSE": "0",
        }
        self.aws("POST", "/moto-api/reset")

    def aws(self, method, path):
        import urllib.request

        urllib.request.urlopen(urllib.request.Request(self.endpoint + path, method=method)).close()

    def run_script(self, name, *arguments):
        return subprocess.run(
            [str(self.scratch / "tree/scripts" / name), *arguments], env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def deploy(self, *arguments):
        return self.run_script("eks-deploy.sh", *arguments)

    def calls(self):
        return self.record.read_text().splitlines()

    def make_cluster(self):
        role = "arn:aws:iam::123456789012:role/cluster"
        answer = boto3.client("eks").create_cluster(
            name=CLUSTER, roleArn=role, resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]}
        )
        return answer["cluster"]["identity"]["oidc"]["issuer"].removeprefix("https://")

    def make_role(self, issuer, policy="podsense-pod-policy"):
        iam = boto3.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"},
                "Condition": {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"}},
            }],
        }  # fmt: skip
        iam.create_role(RoleName="podsense-pod-role", AssumeRolePolicyDocument=json.dumps(trust))
        document = (ROOT / "infra/iam-policy.json").read_text()
        arn = iam.create_policy(PolicyName=policy, PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="podsense-pod-role", PolicyArn=arn)

    def make_volume(self, *keys):
        tags = [{"Key": key, "Value": "owned"} for key in keys]
        specification = [{"ResourceType": "volume", "Tags": tags}]
        answer = boto3.client("ec2").create_volume(
            AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=specification
        )
        return answer["VolumeId"]

    def make_balancer(self):
        ec2 = boto3.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        balancer = boto3.client("elbv2").create_load_balancer(
            Name="podsense", Type="network", Subnets=[subnet],
            Tags=[{"Key": "elbv2.k8s.aws/cluster", "Value": CLUSTER}],
        )  # fmt: skip
        return balancer["LoadBalancers"][0]["LoadBalancerArn"]


class DeployTest(ScriptTest):
    def test_without_apply_every_phase_is_printed_and_nothing_is_called(self):
        result = self.deploy()
        self.assertEqual(result.returncode, 0, result.stdout)
        for phase in ["infrastructure", "kubectl", "controllers", "irsa", "application", "verify"]:
            self.assertIn(f"== {phase}\n", result.stdout)
        self.assertIn(f"aws eks update-kubeconfig --region {REGION} --name {CLUSTER}", result.stdout)
        self.assertEqual(self.calls(), [])
        self.assertFalse((self.scratch / "state").exists())

    def test_the_other_cluster_comes_from_its_tfvars(self):
        result = self.deploy("--var-file", "ml-inference.tfvars")
        self.assertIn("--name ml-inference-prod-cluster", result.stdout)
        self.assertIn("deployment/ml-inference-api -n ml-inference", result.stdout)
        self.assertIn("--role-name ml-inference-pod-role", result.stdout)

    def test_bad_arguments_name_what_is_accepted(self):
        for arguments, said in [
            (["--var-file", "none.tfvars"], "there are: ml-inference.tfvars prod.tfvars"),
            (["deploy"], "phases: infrastructure kubectl"),
            (["--image-tag"], "--image-tag needs a value"),
        ]:
            with self.subTest(arguments=arguments):
                result = self.deploy(*arguments)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(said, result.stdout)

    def test_infrastructure_opens_the_api_server_to_the_given_address_only(self):
        result = self.deploy("--apply", "--admin-cidr", "203.0.113.7/32", "infrastructure")
        self.assertEqual(result.returncode, 0, result.stdout)
        (apply,) = [call for call in self.calls() if " apply " in call]
        self.assertIn('-var-file=prod.tfvars -var endpoint_public_access_cidrs=["203.0.113.7/32"]', apply)

    def test_kubectl_gets_the_cluster_from_aws(self):
        self.make_cluster()
        result = self.deploy("--apply", "kubectl")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(CLUSTER, (self.scratch / "kubeconfig").read_text())

    def test_kubectl_fails_without_a_cluster(self):
        result = self.deploy("--apply", "kubectl")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.calls(), [])

    def test_a_role_that_fits_is_accepted(self):
        self.make_role(self.make_cluster())
        result = self.deploy("--apply", "irsa")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(f"podsense-pod-role trusts {CLUSTER}", result.stdout)

    def test_a_role_of_another_cluster_is_refused(self):
        self.make_cluster()
        self.make_role("oidc.eks.example.com/id/OTHER")
        result = self.deploy("--apply", "irsa")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"does not trust {CLUSTER}", result.stdout)

    def test_a_role_without_its_policy_is_refused(self):
        self.make_role(self.make_cluster(), policy="other-policy")
        result = self.deploy("--apply", "irsa")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("lacks policy podsense-pod-policy", result.stdout)

    def test_a_second_run_goes_on_where_the_first_stopped(self):
        first = self.deploy("--apply", "--admin-cidr", "203.0.113.7/32")
        self.assertNotEqual(first.returncode, 0)  # no cluster came of the recorded terraform
        self.assertIn("== kubectl\n", first.stdout)
        self.make_role(self.make_cluster())
        second = self.deploy("--apply", "--admin-cidr", "203.0.113.7/32", "--image-tag", "1.2.3", "--photo", __file__)
        self.assertEqual(second.returncode, 0, second.stdout)
        self.assertIn("== infrastructure: done before", second.stdout)
        self.assertTrue(any("image_tag=1.2.3" in call for call in self.calls()))
        self.assertTrue(any(call.startswith("docker buildx build --platform ") and "--push" in call for call in self.calls()))
        third = self.deploy("--apply")
        self.assertEqual(third.stdout.count("done before"), 6)

    def destroy(self, *arguments):
        return self.deploy("--apply", "destroy", "--admin-cidr", "203.0.113.7/32", *arguments)

    def test_verify_asks_the_address_that_the_exposure_gives(self):
        photo = self.scratch / "a photo.jpg"
        photo.touch()
        result = self.deploy("--apply", "verify", "--photo", str(photo))
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertTrue(any(call.endswith("http://balancer.example.com/health") for call in self.calls()))
        self.assertIn(
            f"curl -fsS --data-binary @{photo} http://balancer.example.com/predict?top_k=3", self.calls()
        )

    def test_verify_without_a_picture_says_how_to_give_one(self):
        result = self.deploy("--apply", "verify", "--photo", "none.jpg")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("no picture none.jpg to send; give --photo FILE", result.stdout)

    def test_verify_without_exposure_names_the_port_forward(self):
        self.environment["URL_COMMAND"] = ""
        result = self.deploy("--apply", "verify")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(f"kubectl --context {CLUSTER} port-forward -n podsense", result.stdout)

    def test_an_admin_cidr_that_is_none_opens_nothing(self):
        result = self.deploy("--apply", "--admin-cidr", "home", "infrastructure")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("'home' is no range to let in", result.stdout)
        self.assertFalse(any(" apply " in call for call in self.calls()))

    def test_every_kubectl_names_the_cluster(self):
        self.make_role(self.make_cluster())
        self.environment["NODEPOOLS"] = "customresourcedefinition/nodepools.karpenter.sh"
        self.deploy("--apply", "kubectl", "verify", "destroy", "--admin-cidr", "203.0.113.7/32", "--photo", __file__)
        calls = [call for call in self.calls() if call.startswith("kubectl")]
        self.assertGreater(len(calls), 8)
        for call in calls:
            self.assertTrue(call.startswith(f"kubectl --context {CLUSTER} "), call)

    def test_destroy_waits_for_load_balancers(self):
        self.make_cluster()
        arn = self.make_balancer()
        result = self.destroy()
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"load balancers are still there: {arn}", result.stdout)
        self.assertIn(f"kubectl --context {CLUSTER} delete service -n traefik traefik --timeout=300s", self.calls())
        self.assertFalse(any(" destroy " in call for call in self.calls()))

    def test_destroy_waits_for_volumes_of_claims(self):
        self.make_cluster()
        claim = "kubernetes.io/created-for/pvc/name"
        volume = self.make_volume(f"kubernetes.io/cluster/{CLUSTER}", claim)
        others = [self.make_volume("kubernetes.io/cluster/other", claim), self.make_volume("Cluster")]
        result = self.destroy()
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"volumes are still there: {volume}. Delete them, then run destroy again", result.stdout)
        for other in others:
            self.assertNotIn(other, result.stdout)
        destroys = [call.split()[1] for call in self.calls() if " destroy " in call]
        self.assertEqual(destroys, ["-chdir=infra/install"])

    def test_destroy_takes_karpenters_nodes_while_karpenter_runs(self):
        self.make_cluster()
        self.environment["NODEPOOLS"] = "customresourcedefinition/nodepools.karpenter.sh"
        self.destroy()
        calls = self.calls()
        pools = calls.index(f"kubectl --context {CLUSTER} delete nodepools,nodeclaims --all --timeout=600s")
        releases = next(n for n, call in enumerate(calls) if "-chdir=infra/install destroy" in call)
        self.assertLess(pools, releases)

    def test_destroy_takes_releases_before_the_cluster_and_ends_with_the_cost_check(self):
        self.make_cluster()
        result = self.destroy()
        destroys = [call.split()[1] for call in self.calls() if " destroy " in call]
        self.assertEqual(destroys, ["-chdir=infra/install", "-chdir=infra"])
        self.assertFalse(any("nodepools,nodeclaims" in call for call in self.calls()))
        # The recorded terraform left the cluster where it was.
        self.assertIn(f"1 things of {CLUSTER}", result.stdout)
        self.assertNotEqual(result.returncode, 0)

    def test_destroy_of_what_never_came_to_be_a_cluster(self):
        result = self.destroy("--delete-data")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(f"no cluster {CLUSTER}", result.stdout)
        self.assertFalse(any(call.startswith("kubectl") for call in self.calls()))
        (emptied,) = [call for call in self.calls() if " apply " in call]
        self.assertIn("force_destroy=true -target=module.registry", emptied)
        self.assertIn(f"Nothing of {CLUSTER}", result.stdout)

    def test_destroy_where_nothing_was_installed_goes_on(self):
        self.make_cluster()
        self.environment["NO_OUTPUTS"] = "1"
        self.destroy()
        destroys = [call.split()[1] for call in self.calls() if " destroy " in call]
        self.assertEqual(destroys, ["-chdir=infra"])


class CostCheckTest(ScriptTest):
    def check(self):
        return self.run_script("eks-cost-check.sh", "--cluster", CLUSTER, "--region", REGION)

    def test_an_empty_account_costs_nothing(self):
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("costs money any more", result.stdout)

    def test_everything_that_costs_is_listed(self):
        tags = [{"Key": "Cluster", "Value": CLUSTER}]
        ec2 = boto3.client("ec2")
        self.make_cluster()
        balancer = self.make_balancer()
        subnet = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["10.0.1.0/24"]}])["Subnets"][0]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=subnet["SubnetId"], AllocationId=address)["NatGateway"]["NatGatewayId"]
        ec2.create_tags(Resources=[address, nat], Tags=tags)
        volume = ec2.create_volume(
            AvailabilityZone=f"{REGION}a", Size=1,
            TagSpecifications=[{
                "ResourceType": "volume",
                "Tags": [{"Key": f"kubernetes.io/cluster/{CLUSTER}", "Value": "owned"}],
            }],
        )["VolumeId"]  # fmt: skip
        boto3.client("ecr").create_repository(repositoryName="podsense")
        secret = boto3.client("secretsmanager").create_secret(Name="s", SecretString="{}", Tags=tags)["ARN"]
        result = self.check()
        self.assertEqual(result.returncode, 1, result.stdout)
        for thing in [CLUSTER, balancer, address, nat, volume, "image-repository", secret]:
            self.assertIn(thing, result.stdout)

    def test_things_of_others_are_not_listed(self):
        ec2 = boto3.client("ec2")
        ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)
        boto3.client("secretsmanager").create_secret(
            Name="s", SecretString="{}", Tags=[{"Key": "Cluster", "Value": "other"}]
        )
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_no_answer_is_not_an_empty_account(self):
        self.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
        self.environment["AWS_MAX_ATTEMPTS"] = "1"
        result = self.check()
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("cannot list", result.stdout)


if __name__ == "__main__":
    unittest.main()
